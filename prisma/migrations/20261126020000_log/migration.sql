-- The event log, in commit order. It has no foreign keys, because an event remains true when its subject is deleted,
-- and because checking one would make stamp_events wait.

create type event_audience as enum ('CHAT', 'PERSON', 'CHAT_AND_PERSON', 'ACQUAINTANCES');

create sequence event_ids as bigint cache 1;

create table events (
  id bigint primary key,
  at timestamptz(3) not null,
  kind text not null,
  audience event_audience not null,
  chat_id bigint,
  user_id bigint,
  actor_id bigint,
  message_id bigint,
  seq int,
  version int,
  detail jsonb,
  constraint an_audience_is_named check (
    case audience
      when 'CHAT' then chat_id is not null and user_id is null
      when 'PERSON' then user_id is not null
      when 'CHAT_AND_PERSON' then chat_id is not null and user_id is not null
      when 'ACQUAINTANCES' then chat_id is null and user_id is not null
    end)
);
-- Catching up reads the events of a user's chats and the events addressed to the user.
create index events_chat_id_id_idx on events (chat_id, id);
create index events_user_id_id_idx on events (user_id, id);
-- Catching up scans all of these and checks whether the user of each is an acquaintance: there are few of these events,
-- and a user may have very many acquaintances.
create index events_acquaintances_idx on events (id) where audience = 'ACQUAINTANCES';
comment on table events is 'What happened, in commit order. It contains ids, never content, so that no deleted content survives here.';
comment on column events.user_id is 'The user that the event is addressed to; with ACQUAINTANCES, it is addressed to that user and to all who share a chat with them.';

create table event_recipients (
  user_id bigint not null,
  event_id bigint not null,
  primary key (user_id, event_id)
);
create index event_recipients_event_id_idx on event_recipients (event_id);

-- Unlogged, because a draft exists only within its transaction. The key is not an identity column: its sequence would
-- be unlogged too, and the sequence's file is empty on a standby that is promoted before its first restartpoint, so
-- that no draft could ever be written there again.
create unlogged table event_drafts (
  id uuid primary key default gen_random_uuid(),
  events jsonb not null
);

create table event_log (
  id int primary key default 1 check (id = 1),
  pruned_through bigint not null default 0
);
insert into event_log default values;

-- Readers of the log -------------------------------------------------------------------------------------------------

create table leases (
  name text primary key check (octet_length(name) between 1 and 200),
  holder uuid not null,
  until timestamptz(3) not null,
  token bigint generated always as identity,
  is_wanted boolean not null default false
);
comment on table leases is 'The exclusive right, among all nodes, to do something: held until it is released, or until it expires because its holder died. Each kind of work has its own name. A lease `node:…` says that a node is running; the streams and presence that the node holds for its clients refer to it.';
comment on column leases.token is 'The fencing token: each holder gets a new, higher one. A write that requires it fails once another holder has taken the lease.';
comment on column leases.is_wanted is 'Another process asks the holder to release the lease.';

create table log_consumers (
  name text primary key check (octet_length(name) between 1 and 100),
  epoch text not null,
  position bigint not null check (position >= 0)
);
comment on table log_consumers is 'How far each durable reader of the event log has read. A row is updated in the transaction that writes the results of the events.';
comment on column log_consumers.epoch is 'The history of the database that the position belongs to, as in a cursor.';
comment on column log_consumers.position is 'The last event that was consumed.';

-- The stamp ----------------------------------------------------------------------------------------------------------

create function ring_bell(channel text, payload text) returns boolean
language plpgsql set search_path = public, pg_temp as $$
begin
  -- This call also removes from the queue what all listeners have read, which nothing else does while the queue is
  -- full.
  if pg_notification_queue_usage() > 0.9 then return false; end if;
  perform pg_notify(channel, payload);
  return true;
end $$;
comment on function ring_bell is
  'Calls pg_notify unless the server''s notification queue is nearly full: a notification that does not fit would fail its transaction in the middle of the commit. Returns false in that case; listeners also poll.';

create function stamp_events() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  draft record;
  event_id bigint;
  stamped_count int;
  stamped_ids bigint[];
begin
  if tg_relid <> 'event_drafts'::regclass then perform refuse_foreign_rows(); end if;
  -- If a crash undid an asynchronous commit, its events would already have been delivered, and its ids would be reused.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  -- The lock is held from here to the end of the commit. A transaction that gets here early (set constraints all
  -- immediate) and then idles is terminated, because all other commits wait for it.
  perform set_config('idle_in_transaction_session_timeout', '1s', true);
  if current_setting('server_version_num')::int >= 170000 then
    perform set_config('transaction_timeout', '10s', true);
  end if;
  perform pg_advisory_xact_lock(lock_key('event log'));

  if new.events -> 0 ->> 'kind' in ('NewChat', 'AddToChat') then
    for draft in
      select d.* from jsonb_to_recordset(new.events) as d (kind text, chat_id bigint, actor_id bigint, user_ids bigint[])
    loop
      event_id := nextval('event_ids');
      -- These rows are from this transaction, so there is no lock to wait for. Two statements, because with a single
      -- one for both cases the planner could settle on a plan that reads all members of a chat to stamp one, while all
      -- other commits wait.
      if draft.user_ids is null then
        with stamped as (
          update members set since_event = event_id where chat_id = draft.chat_id and since_event is null
          returning user_id
        )
        select count(*), (array_agg(user_id order by user_id))[1:100] into stamped_count, stamped_ids from stamped;
      else
        with stamped as (
          update members set since_event = event_id
          where chat_id = draft.chat_id and user_id = any (draft.user_ids) and since_event is null
          returning user_id
        )
        select count(*), (array_agg(user_id order by user_id))[1:100] into stamped_count, stamped_ids from stamped;
      end if;
      -- NewChat covers the first members, and a member who was removed before the commit is never announced.
      continue when draft.kind = 'AddToChat' and stamped_count = 0;
      insert into events (id, at, kind, audience, chat_id, actor_id, detail)
      values (event_id, clock_timestamp(), draft.kind, 'CHAT', draft.chat_id, draft.actor_id,
        jsonb_build_object('added_count', stamped_count, 'user_ids', to_jsonb(coalesce(stamped_ids, '{}'))));
    end loop;
  else
    with drafts as (
      select d.* from rows from (jsonb_to_recordset(new.events) as (
        kind text, audience event_audience, chat_id bigint, user_id bigint, actor_id bigint, message_id bigint,
        seq int, version int, detail jsonb, recipients bigint[])) with ordinality as d
      order by d.ordinality
    ), stamped as (
      select nextval('event_ids') as event_id, d.* from drafts d
    ), appended as (
      insert into events (id, at, kind, audience, chat_id, user_id, actor_id, message_id, seq, version, detail)
      select s.event_id, clock_timestamp(), s.kind, s.audience, s.chat_id, s.user_id, s.actor_id, s.message_id, s.seq,
        s.version, s.detail
      from stamped s
    )
    insert into event_recipients (user_id, event_id)
    select unnest(s.recipients), s.event_id from stamped s where s.recipients is not null;
  end if;

  delete from event_drafts where id = new.id;
  perform ring_bell('parley_events', '');
  return null;
end $$;
comment on function stamp_events is
  'At commit: takes the log''s lock, draws ids, appends the drafted events and notifies. So ids are in commit order, and a reader that sees one id sees all lower ones.';

create constraint trigger stamp_events after insert on event_drafts
  deferrable initially deferred for each row execute function stamp_events();

-- Ids after a restore ------------------------------------------------------------------------------------------------

-- A database restored from an older copy of its files keeps its identity, and would reuse the ids of the newest events,
-- which the restore lost. So the ids leap by a random distance at the first event after each start of PostgreSQL: the
-- id of a lost event is then never used again, and a client whose cursor contains it receives Reset and fetches
-- everything again.

-- A sequence, not a row: no transaction waits for it or rolls it back, and every snapshot sees the same value.
create sequence last_opening minvalue 0 start 0;
comment on sequence last_opening is 'The start time of the PostgreSQL server that last wrote here, in microseconds since 1970.';

create function leap_after_start() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  opening bigint := extract(epoch from pg_postmaster_start_time()) * 1000000;
begin
  if tg_relid <> 'event_drafts'::regclass then perform refuse_foreign_rows(); end if;
  -- The lock keeps a second leap from landing below the first. A transaction that doesn't get it need not wait: another
  -- is already leaping.
  if (select last_value from last_opening) <> opening and pg_try_advisory_xact_lock(lock_key('event id leap')) then
    if (select is_called from event_ids) then
      perform setval('event_ids', nextval('event_ids') + 1000000 + floor(random() * 4294967296)::bigint);
    end if;
    perform setval('last_opening', opening);
  end if;
  return null;
end $$;
comment on function leap_after_start is 'Ensures that ids lost in a restore are never reused.';

create trigger leap_after_start before insert on event_drafts for each statement execute function leap_after_start();
