-- The two statements of which a webhook needs one each, for groups. As functions a session plans them once, also behind
-- PgBouncer, and for any size of the tables: hence the settings. One statement may call both, in any order: a repeat of
-- an event that is finished by the same statement finds its row, or else its mark.

-- Inserts events, leased. "accepted" are those that were inserted, "handled" which of them have a mark; both are null
-- where all were and none has. Marks are looked up after the insert (see accept.ts).
create function ${schema}.accept(
  lease bigint, seq bigint[], via text[], kind text[], ce_source text[], id text[], identified boolean[], type text[],
  key text[], envelope text[], data text[], raw bytea[], out accepted text[], out handled boolean[]
) language plpgsql set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  sources text[];
  ids     text[];
begin
  with inserted as (
    insert into ${schema}.event as e (seq, via, kind, ce_source, id, identified, type, key, envelope, data, raw, queue,
      state, lease_by)
    select new.seq, new.via, new.kind, new.ce_source, new.id, new.identified, new.type, new.key, new.envelope::json,
      new.data::json, new.raw, 'journal', 'leased', accept.lease
    from unnest(accept.seq, accept.via, accept.kind, accept.ce_source, accept.id, accept.identified, accept.type,
        accept.key, accept.envelope, accept.data, accept.raw)
      with ordinality as new (seq, via, kind, ce_source, id, identified, type, key, envelope, data, raw, position)
    order by new.position
    on conflict (ce_source, id) do update set
      seq = excluded.seq, queue = excluded.queue, via = excluded.via, kind = excluded.kind, type = excluded.type,
      key = excluded.key, envelope = excluded.envelope, data = excluded.data, raw = excluded.raw, state = 'leased',
      due = now(), lease_by = excluded.lease_by, redelivered = false, attempts = 0, parked_at = null
    where e.state = 'parked' or e.seq = excluded.seq and e.lease_by = excluded.lease_by
    returning e.seq, e.ce_source, e.id
  )
  select coalesce(array_agg(i.seq::text), '{}'), array_agg(i.ce_source), array_agg(i.id)
    into accepted, sources, ids from inserted i;
  handled := ${schema}.seen_now(sources, ids);
  if cardinality(accepted) = cardinality(accept.seq) and true = any(handled) is not true then
    accepted := null;
    handled := null;
  end if;
end $$;

-- Deletes the rows that are still leased to their replica, and leaves a mark for each. "gone" are those that were there,
-- "fresh" those whose mark is new; both are null where all were and all are. Nothing is joined: of what a CTE changes
-- Postgres expects one row, and would compare each with each.
create function ${schema}.finish(seq bigint[], lease bigint, keep_ms bigint, out gone text[], out fresh text[])
language plpgsql set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  with deleted as (
    delete from ${schema}.event e where e.seq = any(finish.seq) and e.lease_by = finish.lease
    returning e.seq, e.ce_source, e.id
  ), marked as (
    insert into ${schema}.seen as s (ce_source, id, until)
    select d.ce_source, d.id, now() + finish.keep_ms * interval '1 millisecond' from deleted d order by 1, 2
    on conflict (ce_source, id) do update set until = excluded.until where s.until <= now()
    returning ce_source || ' ' || id as identity
  )
  select case when odd then array(select d.seq::text from deleted d) end,
      case when odd then array(select m.identity from marked m) end
    into gone, fresh
    from (select least((select count(*) from deleted), (select count(*) from marked)) < cardinality(finish.seq) as odd)
      as counted;
end $$;
