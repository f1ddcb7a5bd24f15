-- An event is looked up by its id first: its source is the same for thousands, and would be compared each time.
create unique index event_by_id on ${schema}.event (id, ce_source);
drop index ${schema}.event_identity;
alter index ${schema}.event_by_id rename to event_identity;
create unique index seen_by_id on ${schema}.seen (id, ce_source);
alter table ${schema}.seen drop constraint seen_pkey, add constraint seen_pkey primary key using index seen_by_id;

-- Accepts events under their numbers, leased to a replica, and tells which of the numbers stand for one now: null for all.
-- Nearly all events are new, so they are inserted as such, and once more with care where one was there. Marks are looked
-- up after that, by a statement of its own: it sees what was committed meanwhile. In order, so that replicas with repeats
-- of each other's events do not meet in a circle. The settings are explained at "finish".
create function ${schema}.accept(
  via text[], kind text[], ce_source text[], id text[], identified boolean[], type text[], key text[], envelopes text,
  payloads text, raw bytea[], seq bigint[], lease bigint, out accepted text[]
) language plpgsql set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  envelope text[] := string_to_array(envelopes, e'\x1e', '');
  data text[] := string_to_array(payloads, e'\x1e', '');
  odd boolean := false;
begin
  begin
    insert into ${schema}.event (
      via, kind, ce_source, id, identified, type, key, envelope, data, raw, seq, queue, state, lease_by)
    select via, kind, ce_source, id, identified, type, key, envelope::json, data::json, raw, seq, 'journal', 'leased', lease
    from unnest(accept.via, accept.kind, accept.ce_source, accept.id, accept.identified, accept.type, accept.key,
      envelope, data, accept.raw, accept.seq) as new (
      via, kind, ce_source, id, identified, type, key, envelope, data, raw, seq)
    order by id, ce_source;
  exception when unique_violation then
    odd := true;
    insert into ${schema}.event as e (
      via, kind, ce_source, id, identified, type, key, envelope, data, raw, seq, queue, state, lease_by)
    select via, kind, ce_source, id, identified, type, key, envelope::json, data::json, raw, seq, 'journal', 'leased', lease
    from unnest(accept.via, accept.kind, accept.ce_source, accept.id, accept.identified, accept.type, accept.key,
      envelope, data, accept.raw, accept.seq) as new (
      via, kind, ce_source, id, identified, type, key, envelope, data, raw, seq)
    order by id, ce_source
    on conflict (id, ce_source) do update set
      seq = excluded.seq, queue = excluded.queue, via = excluded.via, kind = excluded.kind, type = excluded.type,
      key = excluded.key, envelope = excluded.envelope, data = excluded.data, raw = excluded.raw, state = 'leased',
      due = now(), lease_by = excluded.lease_by, redelivered = false, attempts = 0, parked_at = null
    where e.state = 'parked';
  end;
  if exists (
    select from (
      select source, array_agg(id) as ids from unnest(accept.ce_source, accept.id) as new (source, id) group by source
    ) as asked, lateral (
      select from ${schema}.seen where ce_source = asked.source and id = any(asked.ids) and (until > now()) is true offset 0
    ) as found
  ) then
    odd := true;
    delete from ${schema}.event e using ${schema}.seen s
    where e.seq = any(accept.seq) and e.lease_by = accept.lease
      and s.ce_source = e.ce_source and s.id = e.id and s.until > now();
  end if;
  if odd then
    accepted := array(select seq::text from ${schema}.event where seq = any(accept.seq) and lease_by = accept.lease);
  end if;
end $$;

-- As before, but marks are written as what they nearly always are: new. Where "keep_ms" is null there are to be none. Marks
-- are taken in the order of their ids by all who write some, so that none of them meet in a circle.
create or replace function ${schema}.finish(seq bigint[], lease bigint, keep_ms bigint, out gone text[], out fresh text[])
language plpgsql set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  with deleted as (
    delete from ${schema}.event e where e.seq = any(finish.seq) and e.lease_by = finish.lease
    returning e.seq, e.ce_source, e.id
  ), marked as (
    insert into ${schema}.seen (ce_source, id, until)
    select d.ce_source, d.id, now() + finish.keep_ms * interval '1 millisecond' from deleted d
    where finish.keep_ms is not null order by 2, 1
  )
  select case when held < cardinality(finish.seq) then array(select d.seq::text from deleted d) end
    into gone from (select count(*) as held from deleted) as counted;
exception when unique_violation then
  with deleted as (
    delete from ${schema}.event e where e.seq = any(finish.seq) and e.lease_by = finish.lease
    returning e.seq, e.ce_source, e.id
  ), marked as (
    insert into ${schema}.seen as s (ce_source, id, until)
    select d.ce_source, d.id, now() + finish.keep_ms * interval '1 millisecond' from deleted d order by 2, 1
    on conflict (id, ce_source) do update set until = excluded.until where s.until <= now()
    returning ce_source || ' ' || id as identity
  )
  select array(select d.seq::text from deleted d), array(select m.identity from marked m) into gone, fresh;
end $$;

-- "seen_now" stays for replicas of the version before, which go on while the new ones start.
