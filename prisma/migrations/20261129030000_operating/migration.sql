-- parley: expand
-- What many nodes and large tables need: the release of each node, and when autovacuum works.

alter table leases add column release text check (octet_length(release) between 1 and 255);
comment on column leases.release is
  'The newest migration that a node knows; only on leases `node:…`. A migration that an older release could not run with waits until no such node is left.';

-- By default, autovacuum waits until a fifth of a table has changed: with a billion messages, until 200 million have.
-- docs/scaling.md shows the figures behind these values.
alter table messages set (
  -- New rows cost a vacuum only the pages that they are on, however large the table is.
  autovacuum_vacuum_insert_scale_factor = 0.01,
  -- Every vacuum that finds dead rows on more than 2 % of the pages reads all indexes.
  autovacuum_vacuum_scale_factor = 0.02,
  -- Its cost does not grow with the table.
  autovacuum_analyze_scale_factor = 0.02
);
-- All rows are deleted after EVENT_RETENTION, oldest first.
alter table events set (
  autovacuum_vacuum_insert_scale_factor = 0.02,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_analyze_scale_factor = 0.02
);
alter table event_recipients set (
  autovacuum_vacuum_insert_scale_factor = 0.02,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_analyze_scale_factor = 0.02
);

select seal_schema();
