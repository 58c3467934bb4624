-- The audit log also records whose messages others delete.

create or replace function audit_actor() returns bigint
language sql stable
return nullif(nullif(current_setting('parley.actor', true), ''), 'self')::bigint;

create function audit_message_deletion() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'messages'::regclass then perform refuse_foreign_rows(); end if;
  -- The messages of an account that is being erased are deleted because its user asked for that.
  if exists (select from users where id = new.sender_id and deleted_at is null) then
    perform write_audit_entry('DELETE_MESSAGE', 'User', new.sender_id::text,
      jsonb_build_object('chat', 'Chat:' || new.chat_id, 'message', 'Message:' || new.id));
  end if;
  return null;
end $$;
comment on function audit_message_deletion is 'Records the deletion of a message by someone other than its sender.';

-- The group commit deletes the messages of many senders in one statement: `parley.actor` is then self, which says that
-- each sender deletes their own.
create trigger audit_message_deletion after update of deleted_at on messages for each row
  when (old.deleted_at is null and new.deleted_at is not null and new.sender_id is not null
    and coalesce(current_setting('parley.actor', true), '') not in ('self', new.sender_id::text))
  execute function audit_message_deletion();

select seal_schema();
