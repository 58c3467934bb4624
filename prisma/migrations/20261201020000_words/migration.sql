-- parley: contract after 20261201000000_search_index
-- What releases before search_entries found messages by. Each message that was sent still cost an entry in its index.

drop trigger forget_words on messages;
drop function forget_words();
alter table messages drop column words;

select seal_schema();
