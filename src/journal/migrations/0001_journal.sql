-- The journal of koksmat-controller. ${schema} is replaced by the schema's name, quoted.
-- Settled events leave no row but, where asked, a dedup mark in "seen".

-- One row a living replica; its number owns leases. The row ends when the replica closes or is declared dead.
create table ${schema}.replica (
  id          bigint generated always as identity primary key,
  name        text not null,
  version     text not null,
  started_at  timestamptz not null default now(),
  alive_until timestamptz not null
);

-- Every event that is durable and not settled.
create table ${schema}.event (
  seq         bigint generated always as identity primary key,
  queue       text not null,                       -- the table queue it waits in; 'journal' and 'long' are ours
  via         text not null,                       -- the configured source that brought it
  kind        text not null check (kind in ('queue.event', 'database.trigger', 'webhook.event')),
  ce_source   text not null,
  id          text not null,
  identified  boolean not null default true,
  type        text not null,
  key         text,                                -- CloudEvents partitionkey: the lane
  envelope    json,                                -- the other CloudEvents attributes
  data        json,                                -- the payload, verbatim
  raw         bytea,                               -- instead of data: a payload that is not JSON
  state       text not null default 'ready' check (state in ('ready', 'leased', 'parked')),
  priority    smallint not null default 0,         -- higher goes first
  due         timestamptz not null default now(),
  lease_by    bigint,                              -- replica.id; leased and not a living replica's: an orphan
  redelivered boolean not null default false,      -- was an orphan once
  attempts    integer not null default 0,          -- failed ones
  checkpoint  json,
  history     json,                                -- AttemptRecord[]
  parked_at   timestamptz,
  accepted_at timestamptz not null default now()
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create unique index event_identity on ${schema}.event (ce_source, id);
create index event_due on ${schema}.event (queue, priority desc, due, seq) where state = 'ready';
create index event_leased on ${schema}.event (lease_by) where state = 'leased';
create index event_parked on ${schema}.event (via, seq) where state = 'parked';

-- Dedup marks: what was handled successfully.
create table ${schema}.seen (
  ce_source text not null,
  id        text not null,
  until     timestamptz not null,
  primary key (ce_source, id)
);
create index seen_until on ${schema}.seen (until);

-- Redelivered events that were begun: how often the process died with them (see the contract of Ledger.begin).
create table ${schema}.begun (
  ce_source text not null,
  id        text not null,
  deaths    integer not null default 0,
  lease_by  bigint,
  at        timestamptz not null default now(),
  primary key (ce_source, id)
);

create table ${schema}.counter (
  name  text primary key,
  value numeric not null default 0
);

-- Bookkeeping of the database poller: rows picked in "track" mode, and keys a condition holds for.
create table ${schema}.tracked (
  source  text not null,
  key     text not null,
  version text not null,
  primary key (source, key)
);
create table ${schema}.condition (
  source      text not null,
  key         text not null,
  since       timestamptz not null default now(),
  reminded_at timestamptz not null default now(),
  data        json,
  primary key (source, key)
);

-- Puts an event into a table queue, inside the caller's transaction.
--   select koksmat.enqueue('orders', 'order.created', '{"no": 1}', key => 'customer-7', delay => '5 minutes')
create function ${schema}.enqueue(
  queue    text,
  type     text,
  data     json,
  id       text default null,
  key      text default null,
  delay    interval default interval '0',
  priority smallint default 0,
  source   text default null
) returns bigint language plpgsql as $$
declare
  number bigint := nextval(pg_get_serial_sequence('${schema}.event', 'seq'));
begin
  insert into ${schema}.event (seq, queue, via, kind, ce_source, id, type, key, data, due, priority)
  overriding system value
  values (number, enqueue.queue, enqueue.queue, 'queue.event', coalesce(enqueue.source, 'koksmat:' || enqueue.queue),
          coalesce(enqueue.id, 'q' || number), enqueue.type, enqueue.key, enqueue.data, now() + enqueue.delay, enqueue.priority)
  on conflict (ce_source, id) do nothing;
  perform pg_notify('${channel}', enqueue.queue);
  return number;
end $$;
