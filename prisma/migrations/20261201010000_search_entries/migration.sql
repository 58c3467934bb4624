-- parley: expand
-- An entry of the search index costs less to write, and searches ask for the chats that they need first.

-- The foreign key looked up each message once more, although the server has locked it: a quarter of what an entry cost.
-- Triggers now do what the key did when a message is deleted.
alter table search_entries drop constraint search_entries_message_id_fkey;
comment on table search_entries is
  'What a message is found by: its words in order, folded, and keys for its chat, its sender and its place. Written by the server, which locks the message; clear_search_entry() deletes it with its message.';

create function clear_search_entry() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'messages'::regclass then perform refuse_foreign_rows(); end if;
  delete from search_entries where message_id = old.id;
  -- A snapshot that is older than the entry does not see it: the server then deletes it.
  if current_setting('transaction_isolation') <> 'read committed' then
    insert into search_backlog (message_id) values (old.id);
  end if;
  return null;
end $$;
comment on function clear_search_entry is 'A deleted message leaves nothing in the search index.';

create trigger clear_search_entry after update of deleted_at on messages for each row
  when (old.deleted_at is null and new.deleted_at is not null) execute function clear_search_entry();
create trigger clear_search_entry_of_row after delete on messages for each row execute function clear_search_entry();

-- A message may be there more than once: a unique key would make the server wait for a transaction that has put it there.
alter table search_backlog drop constraint search_backlog_pkey;
alter table search_backlog add column place bigint generated always as identity primary key;
comment on table search_backlog is
  'Messages that another transaction was changing when the server indexed them, and deleted ones whose entry it may not have seen. The server looks at them again.';

-- The same result as before, with half the work for a text without runs.
create or replace function search_lexemes(tokens text) returns tsvector
language plpgsql immutable strict cost 500 as $$
begin
  if strpos(tokens collate "C", '~') = 0 then
    return array_to_tsvector(array_remove(string_to_array(replace(tokens collate "C", '|', ' '), ' '), ''));
  end if;
  return array_to_tsvector(array(
    select word from unnest(array_remove(string_to_array(replace(tokens collate "C", '|', ' '), ' '), '')) word
    where not starts_with(word collate "C", '~')
    union all
    -- Each character with the next one; the last one alone.
    select character || coalesce(lead(character) over (partition by run order by place), '')
    from unnest(string_to_array(tokens collate "C", ' ')) with ordinality as r (word, run)
    cross join lateral unnest(string_to_array(substr(word, 2), null)) with ordinality as c (character, place)
    where starts_with(word collate "C", '~')
  ));
end $$;

alter table search_chat_backlog add column wanted_at timestamptz(3) not null default clock_timestamp();
comment on column search_chat_backlog.wanted_at is
  'When one of its users last searched; until then, its last activity. The server indexes the chats with the latest times first.';
update search_chat_backlog b set wanted_at = c.last_activity_at from chats c where c.id = b.chat_id;
-- Finds the chats that are indexed next.
create index search_chat_backlog_wanted_at_idx on search_chat_backlog (wanted_at);

select seal_schema();
