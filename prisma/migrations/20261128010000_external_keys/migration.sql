-- External keys and custom data: what an embedding product calls a user or a chat, and what it stores with them.

-- The checks of `custom` call none of our functions, because a role that may only insert messages may execute none of
-- them. Must match src/core/custom.ts.
alter table users
  add column key text check (key ~ '^[!-~]{1,255}$'),
  add column custom jsonb not null default '{}'
    check (jsonb_typeof(custom) = 'object' and octet_length(custom::text) <= 4096),
  add constraint an_erased_account_has_no_key check (deleted_at is null or (key is null and custom = '{}'));
comment on column users.key is 'What the embedding product calls the user. Visible ASCII, so that it fits into a header and a URL.';
comment on column users.custom is 'An object that only API keys write.';
-- Partial, so that changing the key does not count as changing a key, which would wait for all transactions that refer
-- to the row.
create unique index users_key_key on users (key) where key is not null;

alter table chats
  add column key text check (key ~ '^[!-~]{1,255}$'),
  add column custom jsonb not null default '{}'
    check (jsonb_typeof(custom) = 'object' and octet_length(custom::text) <= 4096);
comment on column chats.key is 'What the embedding product calls the chat, such as order:42.';
comment on column chats.custom is 'An object that only API keys write.';
create unique index chats_key_key on chats (key) where key is not null;

alter table messages
  add column custom jsonb not null default '{}'
    check (jsonb_typeof(custom) = 'object' and octet_length(custom::text) <= 4096),
  add constraint a_tombstone_has_no_custom check (deleted_at is null or custom = '{}');
comment on column messages.custom is 'An object from the sender, which no one has checked.';

alter table identities
  add column claimed_custom jsonb
    check (jsonb_typeof(claimed_custom) = 'object' and octet_length(claimed_custom::text) <= 4096);
comment on column identities.claimed_custom is 'The custom data that the newest token named; null if none ever did.';

drop trigger draft_profile_update on users;
create trigger draft_profile_update
  after update of username, display_name, avatar_file_id, key, custom on users for each row
  when ((old.username, old.display_name, old.avatar_file_id, old.key, old.custom)
      is distinct from (new.username, new.display_name, new.avatar_file_id, new.key, new.custom)
    and new.deleted_at is null)
  execute function draft_profile_update();

drop trigger draft_chat_update on chats;
create trigger draft_chat_update
  after update of type, name, description, avatar_file_id, slow_mode_seconds, key, custom on chats for each row
  when ((old.type, old.name, old.description, old.avatar_file_id, old.slow_mode_seconds, old.key, old.custom)
    is distinct from
    (new.type, new.name, new.description, new.avatar_file_id, new.slow_mode_seconds, new.key, new.custom))
  execute function draft_chat_update();

create or replace function count_version() returns trigger
language plpgsql as $$
begin
  if old.deleted_at is not null then
    raise exception 'a deleted message cannot be changed' using errcode = 'check_violation';
  end if;
  new.version := old.version + 1;
  if new.deleted_at is not null then
    new.mentions_everyone := false;
    new.custom := '{}';
  elsif new.edited_at is not distinct from old.edited_at then
    new.edited_at := clock_timestamp();
  end if;
  return new;
end $$;

select seal_schema();
