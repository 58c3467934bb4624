-- Slow mode: how long a member of a chat waits between two messages.

alter table chats
  add column slow_mode_seconds int not null default 0 check (slow_mode_seconds between 0 and 21600),
  add constraint a_single_chat_has_no_slow_mode check (type <> 'SINGLE' or slow_mode_seconds = 0);
comment on column chats.slow_mode_seconds is 'How long a member waits between two messages; 0 if slow mode is off.';

create table slow_mode_turns (
  chat_id bigint not null references chats on delete cascade on update cascade,
  user_id bigint not null references users on delete cascade on update cascade,
  sent_at timestamptz(3) not null default clock_timestamp(),
  primary key (chat_id, user_id)
);
comment on table slow_mode_turns is 'When a member last sent a message to a chat with slow mode. A table of its own, so that only such chats pay for it, and so that neither leaving the chat nor deleting the message gives the turn back.';
-- Serves the deletion of users.
create index slow_mode_turns_user_id_idx on slow_mode_turns (user_id);
-- Serves housekeeping, which deletes turns that are older than the longest slow mode.
create index slow_mode_turns_sent_at_idx on slow_mode_turns (sent_at);

drop trigger draft_chat_update on chats;
create trigger draft_chat_update
  after update of type, name, description, avatar_file_id, slow_mode_seconds on chats for each row
  when ((old.type, old.name, old.description, old.avatar_file_id, old.slow_mode_seconds)
    is distinct from (new.type, new.name, new.description, new.avatar_file_id, new.slow_mode_seconds))
  execute function draft_chat_update();

select seal_schema();
