-- The log of what happened, in commit order. No foreign keys here: what happened stays true when its subject is gone, and
-- a check would make the stamp wait.

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
-- Catching up reads what happened in one's chats and what is addressed to oneself.
create index events_chat_id_id_idx on events (chat_id, id);
create index events_user_id_id_idx on events (user_id, id);
-- Catching up looks through all of them and asks of each whether its person is an acquaintance: there are few of them,
-- and a person may have very many acquaintances.
create index events_acquaintances_idx on events (id) where audience = 'ACQUAINTANCES';
comment on table events is 'What happened, in commit order. Holds ids, never content, so nothing deleted lives on here.';
comment on column events.user_id is 'The person it is addressed to; with ACQUAINTANCES, to them and to whoever shares a chat with them.';

create table event_recipients (
  user_id bigint not null,
  event_id bigint not null,
  primary key (user_id, event_id)
);
create index event_recipients_event_id_idx on event_recipients (event_id);

-- Unlogged: a draft lives no longer than its transaction. Its key is no identity: the sequence of one would be unlogged
-- too, and its file is empty on a standby that is promoted before its first restartpoint, so that no draft could be
-- written there ever again.
create unlogged table event_drafts (
  id uuid primary key default gen_random_uuid(),
  events jsonb not null
);

create table event_log (
  id int primary key default 1 check (id = 1),
  pruned_through bigint not null default 0
);
insert into event_log default values;

-- Its readers --------------------------------------------------------------------------------------------------------

create table leases (
  name text primary key check (octet_length(name) between 1 and 200),
  holder uuid not null,
  until timestamptz(3) not null,
  token bigint generated always as identity,
  is_wanted boolean not null default false
);
comment on table leases is 'The right to be the only one, on all nodes, to do something: held until it is released, or until it runs out because its holder died. Each kind of work names its own.';
comment on column leases.token is 'The fencing token: another one, and a higher one, each time that the lease is taken. A write that requires it fails once someone else has taken the lease.';
comment on column leases.is_wanted is 'Someone else asks the holder to release it.';

create table log_consumers (
  name text primary key check (octet_length(name) between 1 and 100),
  epoch text not null,
  position bigint not null check (position >= 0)
);
comment on table log_consumers is 'How far each durable reader of the event log has come. A row moves in the transaction that holds what the events led to.';
comment on column log_consumers.epoch is 'The history that the position belongs to, as in a cursor.';
comment on column log_consumers.position is 'The last event that was consumed.';

-- The stamp ----------------------------------------------------------------------------------------------------------

-- As before but for who is stamped: with one statement for both kinds the planner could come to settle on a plan that
-- goes through all members of a chat to stamp a single one, while everybody else's commit waits.
create function ring_bell(channel text, payload text) returns boolean
language plpgsql set search_path = public, pg_temp as $$
begin
  -- Asking takes from the queue what all have read, too: nothing else does while it is full.
  if pg_notification_queue_usage() > 0.9 then return false; end if;
  perform pg_notify(channel, payload);
  return true;
end $$;
comment on function ring_bell is
  'pg_notify, unless the server''s queue of notifications is as good as full: one that has no room in it would fail its transaction in the middle of the commit. False then; whoever listens looks by themselves now and then.';

create function stamp_events() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  draft record;
  event_id bigint;
  stamped_count int;
  stamped_ids bigint[];
begin
  if tg_relid <> 'event_drafts'::regclass then perform refuse_foreign_rows(); end if;
  -- An asynchronous commit that a crash takes back would have been heard already, and its ids would come again.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  -- The lock is held from here to the end of the commit. Whoever got here early (set constraints all immediate) and
  -- then idles is ended, for everybody else's commits wait behind them.
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
      -- Rows of this very transaction, so there is nobody to wait for.
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
      -- A first member comes with NewChat; one who was removed again before the commit was never there.
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
  'At commit: takes the log''s lock, draws ids, appends what the drafts say and rings. So ids are in commit order, and whoever sees one sees all below it.';

create constraint trigger stamp_events after insert on event_drafts
  deferrable initially deferred for each row execute function stamp_events();

-- Ids after a restore ------------------------------------------------------------------------------------------------

-- A database that is put back from an older copy of its files goes on under the same name, and would give the ids that
-- were lost with its newest events to others. So the ids leap, by an unforeseeable way, at the first event after each start
-- of PostgreSQL: what a cursor of the lost events names is then never there, and its client is told to fetch anew.

-- A sequence and not a row: nobody waits for it, no transaction keeps it back, and every snapshot sees the same.
create sequence last_opening minvalue 0 start 0;
comment on sequence last_opening is 'When the PostgreSQL was started that wrote here last, in microseconds since 1970.';

create function leap_after_start() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  opening bigint := extract(epoch from pg_postmaster_start_time()) * 1000000;
begin
  if tg_relid <> 'event_drafts'::regclass then perform refuse_foreign_rows(); end if;
  -- The lock keeps a second leap from landing below the first. Whoever doesn't get it need not wait: it is being done.
  if (select last_value from last_opening) <> opening and pg_try_advisory_xact_lock(lock_key('event id leap')) then
    if (select is_called from event_ids) then
      perform setval('event_ids', nextval('event_ids') + 1000000 + floor(random() * 4294967296)::bigint);
    end if;
    perform setval('last_opening', opening);
  end if;
  return null;
end $$;
comment on function leap_after_start is 'Sees to it that ids which were lost in a restore never come again.';

create trigger leap_after_start before insert on event_drafts for each statement execute function leap_after_start();
