-- Roles on the server that an issuer grants by a claim.

alter table identities add column claimed_server_role server_role not null default 'USER';
comment on column identities.claimed_server_role is
  'The role that the newest token granted. While it stays the same, a role that was granted here stays too.';

select seal_schema();
