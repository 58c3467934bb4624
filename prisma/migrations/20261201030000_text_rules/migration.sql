-- parley: expand
-- Names are one line for Unicode too, and what is searched follows the tokeniser as it is now.

create or replace function is_name(value text, max_length int) returns boolean
language sql immutable parallel safe
return is_line(value, max_length)
  -- Line and paragraph separators, and characters that change the direction of text.
  and value !~ '[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]'
  and (octet_length(value) = char_length(value) or value is nfc normalized)
  and displays_something(value);

-- The server reads everything again, and writes what has changed.
insert into search_chat_backlog (chat_id, wanted_at) select id, last_activity_at from chats
on conflict (chat_id) do update set below_seq = null;
insert into search_user_backlog (user_id) select id from users on conflict do nothing;
insert into search_channel_backlog (chat_id) select id from chats where type = 'PUBLIC_CHANNEL' on conflict do nothing;

select seal_schema();
