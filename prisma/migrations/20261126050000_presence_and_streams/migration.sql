-- Who is online, on whichever node their streams are, and the streams of graphql-sse.

-- Presence -----------------------------------------------------------------------------------------------------------

create type presence_status as enum ('ONLINE', 'AWAY', 'OFFLINE');

-- What nodes report is valid only while they run, so these tables are unlogged: after a crash of the database they are
-- empty, and nodes fill them again within seconds.

create unlogged table presence_nodes (
  node text primary key,
  since timestamptz(3) not null default clock_timestamp(),
  left_at timestamptz(3)
);
comment on table presence_nodes is 'The running nodes, by the names of their leases. A node whose lease has expired is dead. Deleting a node deletes its sessions.';
comment on column presence_nodes.since is 'When the node started, or first reported again after the database lost its row.';
comment on column presence_nodes.left_at is 'Set by a node that stops: its users have a moment to reconnect to another.';

create unlogged table session_presences (
  session_id bigint not null references sessions on delete cascade on update cascade,
  node text not null references presence_nodes on delete cascade on update cascade,
  user_id bigint not null references users on delete cascade on update cascade,
  primary key (session_id, node)
);
create index session_presences_node_idx on session_presences (node);
create index session_presences_user_id_idx on session_presences (user_id);
comment on table session_presences is 'Which sessions have a stream open, and on which node.';

-- Logged, because a device reports this once, and would not repeat it after a crash of the database.
create table away_sessions (
  session_id bigint primary key references sessions on delete cascade on update cascade
);
comment on table away_sessions is 'Devices that have reported that no one is looking at them, until they report otherwise or disconnect.';

-- Logged, because after a crash of the database a device that is gone must not come back.
create table presence_leases (
  session_id bigint primary key references sessions on delete cascade on update cascade,
  expires_at timestamptz(3) not null,
  has_lapsed boolean not null default false
);
-- Finds leases that have expired since the last sweep.
create index presence_leases_expires_at_idx on presence_leases (expires_at) where not has_lapsed;
comment on table presence_leases is 'Devices that report at intervals that they are still there, because behind a proxy a stream stays open when its client is gone. A row stays until its device stops reporting this way, or disconnects.';
comment on column presence_leases.has_lapsed is 'Set by the sweep after expires_at: until the device reports again, its streams do not count.';

create table presences (
  user_id bigint primary key references users on delete cascade on update cascade,
  status presence_status not null default 'OFFLINE',
  last_seen_at timestamptz(3)
);
-- Finds users who are gone but still marked as present.
create index presences_here_idx on presences (user_id) where status <> 'OFFLINE';
comment on table presences is 'The resulting status of each user, as others see it. Written by settle_presences.';
comment on column presences.last_seen_at is 'When the user last went offline.';

create function settle_presences(people bigint[], left_at timestamptz default clock_timestamp()) returns void
language plpgsql set search_path = public, pg_temp as $$
declare
  changes text[];
begin
  -- All of this can be recomputed, so the commit does not wait for the disk.
  perform set_config('synchronous_commit', 'off', true);
  insert into presences (user_id) select id from users where id = any (people) order by id for key share
  on conflict do nothing;
  -- Lock first, in a separate statement: the next statement then sees what earlier transactions did.
  perform from presences where user_id = any (people) order by user_id for update;
  with present as (
    select p.user_id, case
      when count(s.session_id) = 0 then 'OFFLINE'
      when count(s.session_id) = count(a.session_id) then 'AWAY'
      else 'ONLINE' end::presence_status as status
    from presences p
    left join session_presences s on s.user_id = p.user_id
      and not exists (select from presence_leases l where l.session_id = s.session_id and l.has_lapsed)
    left join away_sessions a on a.session_id = s.session_id
    where p.user_id = any (people)
    group by p.user_id
  ), settled as (
    update presences p set status = present.status,
      last_seen_at = case present.status when 'OFFLINE' then settle_presences.left_at else p.last_seen_at end
    from present
    where p.user_id = present.user_id and p.status <> present.status
    returning p.user_id, p.status, p.last_seen_at
  )
  select array_agg(concat_ws('.', user_id, status,
    case status when 'OFFLINE' then (extract(epoch from last_seen_at) * 1000)::bigint end)) into changes
  from settled;
  -- A notification holds 8,000 bytes.
  for place in 1 .. coalesce(cardinality(changes), 0) by 100 loop
    perform ring_bell('parley_presence', array_to_string(changes[place : place + 99], ','));
  end loop;
end $$;
comment on function settle_presences is 'Recomputes the status of these users, and notifies all nodes of changes. left_at is the time at which those who are now offline left.';

create function announce_node(this_node text) returns boolean
language plpgsql set search_path = public, pg_temp as $$
begin
  if exists (select from presence_nodes where node = this_node) then return true; end if;
  insert into presence_nodes (node) values (this_node) on conflict do nothing;
  return false;
end $$;
comment on function announce_node is 'A node reports that it is running. Returns false if the database did not know it: then its sessions are unknown too.';

create function forget_devices(gone bigint[]) returns void
language sql set search_path = public, pg_temp as $$
  delete from away_sessions a where session_id = any (gone)
    and not exists (select from session_presences s where s.session_id = a.session_id);
  delete from presence_leases l where session_id = any (gone)
    and not exists (select from session_presences s where s.session_id = l.session_id);
$$;
comment on function forget_devices is 'Deletes what these sessions have reported about themselves, except for sessions that still have a stream on some node.';

create function attend(this_node text, arrived bigint[], departed bigint[], people bigint[]) returns boolean
language plpgsql set search_path = public, pg_temp as $$
declare
  is_known boolean := announce_node(this_node);
begin
  insert into session_presences (session_id, node, user_id)
  select id, this_node, user_id from sessions where id = any (arrived) order by id for key share
  on conflict do nothing;
  delete from session_presences where node = this_node and session_id = any (departed);
  perform forget_devices(departed);
  perform settle_presences(people);
  return is_known;
end $$;
comment on function attend is 'A node reports which sessions have connected to it and which have disconnected. Returns false as announce_node does.';

create function sweep_presences(this_node text, expiry interval, grace interval) returns boolean
language plpgsql set search_path = public, pg_temp as $$
declare
  dead record;
  gone bigint[];
  people bigint[];
begin
  -- One node does this for all; if it dies, the next one takes over.
  if exists (
    select from presence_nodes n join leases l on l.name = n.node
    where n.node < this_node and n.left_at is null and l.until > clock_timestamp() + expiry / 2
  ) then
    return false;
  end if;
  select n.node, coalesce(n.left_at, l.until - expiry, clock_timestamp()) as went_at into dead
  from presence_nodes n left join leases l on l.name = n.node
  where case when n.left_at is null then l.until is null or l.until < clock_timestamp()
    else n.left_at < clock_timestamp() - grace end
  order by went_at limit 1 for update of n skip locked;
  if found then
    select array_agg(session_id), array_agg(distinct user_id) into gone, people
    from session_presences where node = dead.node;
    delete from presence_nodes where node = dead.node;
    perform forget_devices(gone);
    perform settle_presences(people, dead.went_at);
    return true;
  end if;
  -- After a crash the database knows no sessions: first give each node time to report them again.
  if not exists (select from presence_nodes where since < clock_timestamp() - expiry / 2) then
    return false;
  end if;
  -- A device that is renewing its lease at this moment holds the lock on its row: it is not gone, so it is skipped.
  with lapsed as (
    update presence_leases set has_lapsed = true where session_id in (
      select session_id from presence_leases where not has_lapsed and expires_at < clock_timestamp()
      order by expires_at limit 1000 for update skip locked)
    returning session_id
  )
  select array_agg(distinct user_id) into people from sessions where id in (select session_id from lapsed);
  if people is not null then
    perform settle_presences(people);
    return true;
  end if;
  people := array(
    select user_id from presences p where status <> 'OFFLINE'
      and not exists (select from session_presences s where s.user_id = p.user_id));
  if cardinality(people) > 0 then
    perform forget_devices(array(select id from sessions where user_id = any (people)));
    perform settle_presences(people);
  end if;
  return false;
end $$;
comment on function sweep_presences is 'Removes one node whose lease has expired (a lease lasts for `expiry`) or that left more than `grace` ago, and marks users who were connected only to it as offline. If there is no such node, does the same for users whose device lease has expired, and then for users without any session. Returns whether there may be more to do.';

-- Streams ------------------------------------------------------------------------------------------------------------

-- Single connection mode of graphql-sse: the requests that reserve a stream, open it and add operations to it may each
-- reach a different node. These tables hold what they share; the node that holds the open stream runs its operations.

create table stream_reservations (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  session_id bigint not null references sessions on delete cascade on update cascade,
  created_at timestamptz(3) not null default now(),
  node text references leases on delete cascade on update cascade
);
create index stream_reservations_session_id_idx on stream_reservations (session_id);
-- Serves the deletion of a lease.
create index stream_reservations_node_idx on stream_reservations (node);
comment on column stream_reservations.node is
  'The lease of the node that holds the stream open: the stream counts while the lease is valid, and is deleted with it. Null until a client opens the stream.';

create type stream_operation_state as enum ('PREPARING', 'WAITING', 'RUNNING');

create table stream_operations (
  token_hash bytea not null references stream_reservations on delete cascade on update cascade,
  operation_id text not null check (char_length(operation_id) between 1 and 256),
  state stream_operation_state not null default 'PREPARING',
  params jsonb not null,
  after_cursor text,
  user_agent text,
  primary key (token_hash, operation_id)
);
comment on column stream_operations.after_cursor is
  'The head of the log when the operation was requested, so that a subscription misses nothing while it waits for its stream to open.';

create function ring_stream() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'stream_operations'::regclass then perform refuse_foreign_rows(); end if;
  perform ring_bell('parley_streams', encode(coalesce(new.token_hash, old.token_hash), 'hex'));
  return null;
end $$;
comment on function ring_stream is 'Wakes the node that holds the stream: an operation is waiting or was canceled.';

create trigger ring_waiting_operation after update of state on stream_operations for each row
  when (new.state = 'WAITING') execute function ring_stream();

create trigger ring_cancelled_operation after delete on stream_operations for each row
  when (old.state = 'RUNNING') execute function ring_stream();

-- Last ---------------------------------------------------------------------------------------------------------------

select seal_schema();
