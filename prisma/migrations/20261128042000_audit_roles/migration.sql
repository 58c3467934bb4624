-- Who wrote an entry of the audit log: anyone who may write to the database can claim to act for a user, with the setting
-- parley.actor, but not to have connected as another role.

alter table audit_entries add column role text not null default session_user check (char_length(role) <= 63);
comment on column audit_entries.role is 'The role of the database that made the connection: the server''s, or that of a person who used psql.';

select seal_schema();
