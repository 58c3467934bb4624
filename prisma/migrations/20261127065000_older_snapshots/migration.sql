-- Bans and invites in transactions whose snapshot is older than what they depend on (psql, repeatable read).

create or replace function lock_restricted_chat() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  restricted_type chat_type;
begin
  if tg_relid <> 'restrictions'::regclass then perform refuse_foreign_rows(); end if;
  -- A transaction that adds a member or writes a message holds the same lock: either it sees the restriction, or this
  -- trigger sees what it wrote. For a ban it is an update, not just a lock: under repeatable read, a transaction that
  -- adds the user afterwards then fails, whereas after a mere lock it would not see the ban.
  if new.kind = 'BAN' then
    update chats set member_count = member_count where id = new.chat_id returning type into restricted_type;
  else
    select type into restricted_type from chats where id = new.chat_id for no key update;
  end if;
  if restricted_type = 'SINGLE' then
    raise exception 'no one can be banned or muted in a single chat' using errcode = 'check_violation';
  end if;
  return new;
end $$;

create or replace function check_invite() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  is_allowed boolean;
begin
  if tg_relid <> 'invites'::regclass then perform refuse_foreign_rows(); end if;
  -- The creator's rights cannot change until the commit. An update, not just a lock: under repeatable read, a
  -- transaction that takes the rights away afterwards then fails, whereas after a mere lock it would not see the invite
  -- that it has to end.
  update chats set member_count = member_count where id = new.chat_id;
  is_allowed := case
    when new.chat_id is null then
      exists (select from users where id = new.created_by_id and server_role = 'ADMIN' and deleted_at is null for share)
    else exists (
      select from members m join chats c on c.id = m.chat_id
      where m.chat_id = new.chat_id and m.user_id = new.created_by_id and c.type <> 'SINGLE'
        and (c.type = 'GROUP' or m.role <> 'MEMBER'))
  end;
  if not is_allowed then
    raise exception 'only a user who may add members can create an invite' using errcode = 'check_violation';
  end if;
  return new;
end $$;

create or replace function end_invites_of_plain_member() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'members'::regclass then perform refuse_foreign_rows(); end if;
  -- A transaction that creates an invite holds this lock. An update, as in check_invite.
  update chats set member_count = member_count where id = new.chat_id;
  delete from invites where created_by_id = new.user_id and chat_id = new.chat_id
    and not exists (select from chats where id = new.chat_id and type = 'GROUP');
  return null;
end $$;

-- The invites of a user whose account is erased end at once: their memberships may end only minutes later.
create or replace function end_invites_to_server() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'users'::regclass then perform refuse_foreign_rows(); end if;
  delete from invites where created_by_id = new.id and (chat_id is null or new.deleted_at is not null);
  return null;
end $$;
comment on function end_invites_to_server is 'All invites of a user end when the account is erased; those to the server alone also end when the user is no longer its admin.';

drop trigger end_invites_to_server on users;
create trigger end_invites_to_server after update of server_role, deleted_at on users for each row
  when ((old.server_role = 'ADMIN' and new.server_role <> 'ADMIN')
    or (old.deleted_at is null and new.deleted_at is not null))
  execute function end_invites_to_server();

-- The same condition as before, without a cast that fails for `self` (see 20261127060000_message_audit).
drop trigger audit_member_role on members;
create trigger audit_member_role after update of role on members for each row
  when (old.role is distinct from new.role
    and coalesce(current_setting('parley.actor', true), '') <> new.user_id::text)
  execute function audit_member_role();

select seal_schema();
