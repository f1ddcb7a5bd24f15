-- A session keeps the plan of this function while "seen" grows under it: planned for a small table it read all marks for
-- each group of webhooks. "offset 0" and the setting leave no plan but one look into the index for each event.
create or replace function ${schema}.seen_now(sources text[], ids text[]) returns boolean[] language plpgsql volatile
set enable_seqscan = off as $$
begin
  return array(
    select exists (
      select from ${schema}.seen s
      where s.ce_source = asked.source and s.id = asked.id and (s.until > now()) is true offset 0
    )
    from unnest(sources, ids) with ordinality as asked (source, id, position) order by position
  );
end $$;
