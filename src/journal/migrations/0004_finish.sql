-- Deletes the rows that are still leased to their replica, and leaves a mark for each. "gone" are those that were there,
-- "fresh" those whose mark is new; both are null where all were and all are. Nothing is joined: of what a CTE changes
-- Postgres expects one row, and would compare each with each. It is a function so that a session plans it once, also
-- behind PgBouncer, and for any size of the tables: hence the settings.
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
