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
alter table chats
  add column is_importing boolean not null default false,
  add constraint an_imported_chat_has_a_key check (key is not null or not is_importing);
comment on column chats.is_importing is
  'Whether an import is writing the chat. Until it ends, the chat has no members and makes no events.';

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
  when (not old.is_importing and (old.type, old.name, old.description, old.avatar_file_id, old.slow_mode_seconds, old.key, old.custom)
    is distinct from
    (new.type, new.name, new.description, new.avatar_file_id, new.slow_mode_seconds, new.key, new.custom))
  execute function draft_chat_update();

drop trigger draft_chat_deletion on chats;
create trigger draft_chat_deletion before delete on chats for each row
  when (not old.is_importing) execute function draft_chat_deletion();

-- Keys that are gone ---------------------------------------------------------------------------------------------------

create table deleted_keys (
  key_hash bytea primary key check (octet_length(key_hash) = 32)
);
comment on table deleted_keys is
  'The key of a chat or user that has been deleted, as SHA-256 of chat: or user: and the key: an import that is sent again does not bring it back.';

create function hash_key(kind text, key text) returns bytea
language sql immutable parallel safe return sha256(convert_to(kind || ':' || key, 'UTF8'));
comment on function hash_key is 'How deleted_keys stores the key of a chat or user: an erased user leaves no key that can be read.';

create function keep_deleted_key() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid not in ('chats'::regclass, 'users'::regclass) then perform refuse_foreign_rows(); end if;
  insert into deleted_keys (key_hash)
  values (hash_key(case tg_relid when 'chats'::regclass then 'chat' else 'user' end, old.key))
  on conflict do nothing;
  return null;
end $$;
comment on function keep_deleted_key is 'Remembers the key of a chat that is deleted, and of a user whose account is erased or deleted.';

create trigger keep_key_of_deleted_chat after delete on chats for each row
  when (old.key is not null and not old.is_importing) execute function keep_deleted_key();
create trigger keep_key_of_erased_user after update of deleted_at on users for each row
  when (old.key is not null and old.deleted_at is null and new.deleted_at is not null)
  execute function keep_deleted_key();
create trigger keep_key_of_deleted_user after delete on users for each row
  when (old.key is not null) execute function keep_deleted_key();

-- Imports ------------------------------------------------------------------------------------------------------------

-- An import writes a chat that it has created itself. Until the import ends, the chat has no members (they wait in
-- import_members) and is not public, so no one sees it and there is no one to tell about it.

create table chat_imports (
  chat_id bigint primary key references chats on delete cascade on update cascade,
  type chat_type not null,
  ended_at timestamptz(3)
);
comment on table chat_imports is 'A chat that an import has created. The row stays, so that running the import again changes nothing.';
comment on column chat_imports.type is 'What the chat will be: a public channel is a private one until the import ends.';

create table import_members (
  chat_id bigint not null references chat_imports on delete cascade on update cascade,
  user_id bigint not null references users on delete cascade on update cascade,
  role member_role not null,
  joined_at timestamptz(3) not null,
  primary key (chat_id, user_id)
);
comment on table import_members is 'Who will be a member of a chat when its import ends.';
-- Serves the deletion of users.
create index import_members_user_id_idx on import_members (user_id);

create table import_messages (
  chat_id bigint not null references chat_imports on delete cascade on update cascade,
  key text not null check (key ~ '^[!-~]{1,255}$'),
  seq int not null,
  primary key (chat_id, key)
);
comment on table import_messages is 'Which message of an imported chat a key stands for. A key stays when its message is deleted, so that no later run of the import brings the message back.';

create function guard_import() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
  -- Inside the two functions below, the current user is their owner.
  if current_user <> (select pg_get_userbyid(relowner) from pg_class where oid = 'chats'::regclass) then
    raise exception 'only begin_chat_import and end_chat_import begin and end imports'
      using errcode = 'insufficient_privilege';
  end if;
  if tg_op = 'UPDATE' and new.is_importing then
    raise exception 'an import writes only chats that it has created' using errcode = 'check_violation';
  end if;
  return new;
end $$;
comment on function guard_import is 'No one can silence an existing chat, or one that they create without an import.';

create trigger guard_new_import before insert on chats for each row when (new.is_importing) execute function guard_import();
create trigger guard_import before update of is_importing on chats for each row
  when (old.is_importing is distinct from new.is_importing) execute function guard_import();

create function begin_chat_import(chat_key text, final_type chat_type, chat_name text, about text, data jsonb,
  began_at timestamptz) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  new_id bigint;
begin
  insert into chats (key, type, name, description, custom, created_at, last_activity_at, is_importing)
  values (chat_key, case final_type when 'PUBLIC_CHANNEL' then 'PRIVATE_CHANNEL' else final_type end, chat_name, about,
    data, began_at, began_at, true)
  on conflict (key) where key is not null do nothing returning id into new_id;
  if new_id is not null and exists (select from deleted_keys where key_hash = hash_key('chat', chat_key)) then
    raise exception 'the chat has been deleted since it was imported'
      using errcode = 'integrity_constraint_violation', constraint = 'a_deleted_chat_stays_deleted', table = 'chats';
  end if;
  if new_id is not null then insert into chat_imports (chat_id, type) values (new_id, final_type); end if;
  return new_id;
end $$;
comment on function begin_chat_import is
  'Creates a chat that makes no events until end_chat_import. Returns its id; null if the key is taken.';

create function end_chat_import(ended bigint) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  final_type chat_type;
  people bigint[];
begin
  -- The chat before what depends on it, like all code.
  perform from chats where id = ended and is_importing for no key update;
  if not found then return false; end if;
  select type into final_type from chat_imports where chat_id = ended;
  people := array(
    select m.user_id from import_members m join users u on u.id = m.user_id
    where m.chat_id = ended and u.deleted_at is null order by m.user_id for key share of u);
  if final_type = 'SINGLE' then
    if cardinality(people) not in (1, 2) then
      raise exception 'a single chat has one or two members, not %', cardinality(people)
        using errcode = 'check_violation', constraint = 'a_single_chat_is_a_pair', table = 'import_members';
    end if;
    if cardinality(people) <> (select count(*) from import_members where chat_id = ended) then
      raise exception 'one of the two people has been erased since the import began'
        using errcode = 'check_violation', constraint = 'a_single_chat_keeps_its_pair', table = 'import_members';
    end if;
    insert into single_chats (chat_id, low_user_id, high_user_id)
    values (ended, people[1], people[cardinality(people)]);
  end if;
  update chats set is_importing = false, type = final_type where id = ended;
  -- NewChat is stamped before the members' AddToChat, which then has no one left to tell.
  insert into event_drafts (events) values (jsonb_build_array(jsonb_build_object('kind', 'NewChat', 'chat_id', ended)));
  insert into members (chat_id, user_id, role, joined_at, last_read_seq)
  select m.chat_id, m.user_id, case final_type when 'SINGLE' then 'MEMBER' else m.role end, m.joined_at, c.last_seq
  from import_members m join chats c on c.id = m.chat_id
  where m.chat_id = ended and m.user_id = any (people);
  delete from import_members where chat_id = ended;
  update chat_imports set ended_at = clock_timestamp() where chat_id = ended;
  perform write_audit_entry('IMPORT_CHAT', 'Chat', ended::text, '{}');
  return true;
end $$;
comment on function end_chat_import is
  'Gives an imported chat its members, who have read everything, and drafts the one NewChat that they receive. Returns whether the chat was being imported.';

select seal_schema();
