-- What the staff of the server do: suspensions end sessions, the server keeps an admin, and reports keep what was
-- reported.

-- Serves the admins' search for chats, which matches prefixes of their names.
create index chats_name_search_idx on chats ((fold(name) collate "C"), id) where name is not null;

-- Suspensions --------------------------------------------------------------------------------------------------------

create function lock_suspended_user() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'restrictions'::regclass then perform refuse_foreign_rows(); end if;
  -- An update, not just a lock: under repeatable read, a transaction that opens a session afterwards then fails, whereas
  -- after a mere lock it would not see the suspension.
  update users set server_role = server_role where id = new.user_id;
  return new;
end $$;
comment on function lock_suspended_user is 'Suspensions take turns with sessions that are being opened.';

create trigger lock_suspended_user before insert or update of until on restrictions for each row
  when (new.kind = 'SUSPENSION') execute function lock_suspended_user();

create function enforce_suspension() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'restrictions'::regclass then perform refuse_foreign_rows(); end if;
  -- (A later migration creates this function.)
  perform refuse_foreign_tokens(new.user_id);
  delete from sessions where user_id = new.user_id;
  return null;
end $$;
comment on function enforce_suspension is 'Ends the sessions of a suspended user, and with them their streams, and refuses the tokens that other systems have issued until now, whichever client writes the suspension.';

create trigger enforce_suspension after insert or update of until on restrictions for each row
  when (new.kind = 'SUSPENSION' and (new.until is null or new.until > clock_timestamp()))
  execute function enforce_suspension();

create function refuse_suspended_session() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'sessions'::regclass then perform refuse_foreign_rows(); end if;
  -- A suspension that is being written holds the same lock: it is visible here, or it ends this session.
  perform from users where id = new.user_id for no key update;
  if exists (
    select from restrictions where user_id = new.user_id and kind = 'SUSPENSION' and is_current(until)
  ) then
    raise exception 'a suspended user cannot open a session'
      using errcode = 'check_violation', constraint = 'a_suspended_user_has_no_session', table = 'sessions';
  end if;
  return new;
end $$;
comment on function refuse_suspended_session is 'Keeps suspended users out, however they would open a session.';

create trigger refuse_suspended_session before insert on sessions for each row execute function refuse_suspended_session();

-- Roles on the server ------------------------------------------------------------------------------------------------

create function keep_an_admin() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'users'::regclass then perform refuse_foreign_rows(); end if;
  -- Admins who demote each other take turns. This transaction has locked this user's row already.
  perform from users where server_role = 'ADMIN' and deleted_at is null and id <> new.id order by id for no key update;
  if not exists (
    select from users u
    where u.server_role = 'ADMIN' and u.deleted_at is null and u.id <> new.id and not exists (
      select from restrictions r where r.user_id = u.id and r.kind = 'SUSPENSION' and is_current(r.until))
  ) then
    raise exception 'the last admin of the server cannot step down'
      using errcode = 'restrict_violation', constraint = 'the_server_keeps_an_admin', table = 'users';
  end if;
  return new;
end $$;
comment on function keep_an_admin is
  'A server that has an admin who is not suspended keeps one. An account that is erased loses its role in any case.';

create trigger keep_an_admin before update of server_role on users for each row
  when (old.server_role = 'ADMIN' and new.server_role <> 'ADMIN' and new.deleted_at is null)
  execute function keep_an_admin();

create function drop_server_role() returns trigger
language plpgsql as $$
begin
  new.server_role := 'USER';
  return new;
end $$;
comment on function drop_server_role is 'An erased account has no role on the server.';

create trigger drop_server_role before update of deleted_at on users for each row
  when (new.deleted_at is not null and new.server_role <> 'USER') execute function drop_server_role();

-- Reports ------------------------------------------------------------------------------------------------------------

create type report_reason as enum ('SPAM', 'HARASSMENT', 'HATE', 'SEXUAL', 'VIOLENCE', 'SELF_HARM', 'ILLEGAL', 'OTHER');

create type report_resolution as enum ('NO_ACTION', 'MESSAGE_DELETED', 'USER_WARNED', 'USER_SUSPENDED');

create table reports (
  id bigint generated by default as identity primary key,
  message_id bigint references messages on delete set null on update cascade,
  author_id bigint references users on delete set null on update cascade,
  content text not null check (char_length(content) <= 10000),
  reporter_id bigint references users on delete set null on update cascade,
  reason report_reason not null,
  comment text check (is_text(comment, 1000)),
  created_at timestamptz(3) not null default clock_timestamp(),
  resolved_at timestamptz(3),
  resolution report_resolution,
  note text check (is_text(note, 1000)),
  resolved_by_id bigint references users on delete set null on update cascade,
  constraint a_resolution_has_a_time check ((resolution is null) = (resolved_at is null)),
  constraint a_note_explains_a_resolution check (note is null or resolution is not null)
);
-- A user reports a message once.
create unique index reports_reporter_id_message_id_key on reports (reporter_id, message_id);
-- Serve the deletion of chats and users.
create index reports_message_id_idx on reports (message_id);
create index reports_author_id_idx on reports (author_id);
create index reports_resolved_by_id_idx on reports (resolved_by_id);
-- The queue of open reports, newest first.
create index reports_open_idx on reports (id) where resolved_at is null;
-- Serves housekeeping, which deletes reports that were resolved long ago.
create index reports_resolved_at_idx on reports (resolved_at);
comment on table reports is 'A message that a user reported to the staff of the server. It outlives the message, and is deleted 90 days after its resolution.';
comment on column reports.content is 'What the message said when it was reported. Written by take_reported_message.';
comment on column reports.author_id is 'The sender of the message. Written by take_reported_message.';

create table report_files (
  id bigint generated by default as identity primary key,
  report_id bigint not null references reports on delete cascade on update cascade,
  place int not null check (place between 0 and 9),
  name text not null check (is_line(name, 255)),
  blob_hash bytea not null references blobs on delete restrict on update cascade
);
-- Serves a report's files, in their order.
create unique index report_files_report_id_place_key on report_files (report_id, place);
-- Whether a report still refers to the bytes.
create index report_files_blob_hash_idx on report_files (blob_hash);
comment on table report_files is 'A file that the reported message had. It keeps the bytes when the message''s own file is deleted. Written by keep_reported_files.';

create function take_reported_message() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  reported messages%rowtype;
begin
  if tg_relid <> 'reports'::regclass then perform refuse_foreign_rows(); end if;
  -- Takes turns with edits and with the deletion of the message.
  select * into reported from messages where id = new.message_id for share;
  if reported.id is null or reported.deleted_at is not null then
    raise exception 'only a message that has not been deleted can be reported'
      using errcode = 'check_violation', constraint = 'a_report_has_a_message', table = 'reports';
  end if;
  new.author_id := reported.sender_id;
  new.content := reported.content;
  return new;
end $$;
comment on function take_reported_message is 'Keeps the author and the content of a message at the time of the report, whichever client writes it.';

create trigger take_reported_message before insert on reports for each row execute function take_reported_message();

create function keep_reported_files() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'reports'::regclass then perform refuse_foreign_rows(); end if;
  -- Until the commit, housekeeping cannot sweep these bytes.
  perform lock_hashes(array(select encode(blob_hash, 'hex') from files where message_id = new.message_id));
  insert into report_files (report_id, place, name, blob_hash)
  select new.id, place, name, blob_hash from files where message_id = new.message_id order by place;
  return null;
end $$;
comment on function keep_reported_files is 'Keeps the files of a reported message past their deletion.';

create trigger keep_reported_files after insert on reports for each row execute function keep_reported_files();

create trigger keep_report before update on reports for each row
  when ((old.id, old.content, old.reason, old.comment, old.created_at)
    is distinct from (new.id, new.content, new.reason, new.comment, new.created_at))
  execute function refuse_change('what was reported');

create function loosen_reported_blobs() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'report_files'::regclass then perform refuse_foreign_rows(); end if;
  insert into loose_blobs (hash) select distinct blob_hash from deleted order by 1 on conflict do nothing;
  return null;
end $$;
comment on function loosen_reported_blobs is 'When a report is deleted, the bytes of its files become candidates for removal.';

create trigger loosen_reported_blobs after delete on report_files
  referencing old table as deleted for each statement execute function loosen_reported_blobs();

-- What the audit log records -----------------------------------------------------------------------------------------

create function audit_resolution() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'reports'::regclass then perform refuse_foreign_rows(); end if;
  perform write_audit_entry('RESOLVE_REPORT', 'Report', new.id::text, jsonb_strip_nulls(jsonb_build_object(
    'resolution', new.resolution, 'user', 'User:' || new.author_id)));
  return null;
end $$;
comment on function audit_resolution is 'Records what was decided about reports.';

create trigger audit_resolution after update of resolution, note on reports for each row
  when ((old.resolution, old.note) is distinct from (new.resolution, new.note))
  execute function audit_resolution();

create function audit_ended_sessions() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  actor bigint := audit_actor();
begin
  if tg_relid <> 'sessions'::regclass then perform refuse_foreign_rows(); end if;
  -- Without an actor, this server ends sessions for their own users: when they sign out, for example.
  if actor is null and current_setting('application_name') = 'parley' then return null; end if;
  perform write_audit_entry('END_SESSION', 'User', d.user_id::text, jsonb_build_object('session', 'Session:' || d.id))
  from deleted d
  -- A suspension or an erasure, which has an entry of its own, ends all sessions.
  where d.user_id is distinct from actor
    and exists (select from users u where u.id = d.user_id and u.deleted_at is null)
    and not exists (
      select from restrictions r where r.user_id = d.user_id and r.kind = 'SUSPENSION' and is_current(r.until));
  return null;
end $$;
comment on function audit_ended_sessions is 'Records sessions that someone else has ended.';

create trigger audit_ended_sessions after delete on sessions
  referencing old table as deleted for each statement execute function audit_ended_sessions();

create function audit_erasure() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'account_deletions'::regclass then perform refuse_foreign_rows(); end if;
  if new.user_id is distinct from audit_actor() then
    perform write_audit_entry('ERASE_USER', 'User', new.user_id::text, jsonb_build_object('messages', new.messages));
  end if;
  return null;
end $$;
comment on function audit_erasure is 'Records accounts that someone else has erased.';

create trigger audit_erasure after insert on account_deletions for each row execute function audit_erasure();

create function audit_deleted_user() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'users'::regclass then perform refuse_foreign_rows(); end if;
  perform write_audit_entry('ERASE_USER', 'User', old.id::text, '{}');
  return null;
end $$;
comment on function audit_deleted_user is 'Records users whose row was deleted by hand, without an erasure before.';

create trigger audit_deleted_user after delete on users for each row
  when (old.deleted_at is null) execute function audit_deleted_user();

select seal_schema();
