-- A muted member may do nothing in the chat but read and leave, so they cannot invite either. Their invites let no one
-- in until the mute ends (isUsable in src/chat/invite.ts).

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
        and (c.type = 'GROUP' or m.role <> 'MEMBER')
        and not exists (
          select from restrictions r
          where r.chat_id = m.chat_id and r.user_id = m.user_id and r.kind = 'MUTE' and is_current(r.until)))
  end;
  if not is_allowed then
    raise exception 'only a user who may add members can create an invite' using errcode = 'check_violation';
  end if;
  return new;
end $$;

select seal_schema();
