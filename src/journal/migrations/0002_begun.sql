-- A suspect is held back before it runs alone; how often the process died meanwhile, of something else (see begun.ts).
alter table ${schema}.begun add column held boolean not null default false, add column passed integer not null default 0;
