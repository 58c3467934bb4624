-- Rate limits, the networks that sign-in remembers, and which stream tokens are valid.

-- rate-limiter-flexible defines the columns and their order. Unlogged: a crash loses only who has to wait.
create unlogged table rate_limits (
  key text primary key check (char_length(key) <= 255),
  points integer not null default 0,
  expire bigint
);
comment on table rate_limits is 'Written by rate-limiter-flexible (src/core/rate-limit.ts). Keys of users and networks are hashes.';
-- Serves the housekeeping that deletes expired counters.
create index rate_limits_expire_idx on rate_limits (expire);

create table known_networks (
  user_id bigint not null references users on delete cascade on update cascade,
  network_hash bytea not null check (octet_length(network_hash) = 32),
  used_at timestamptz(3) not null default clock_timestamp(),
  primary key (user_id, network_hash)
);
comment on table known_networks is 'The networks that an account has signed in from: guesses by others do not slow down sign-ins from there.';

alter table sessions add column stream_token_generation integer not null default 0;
comment on column sessions.stream_token_generation is 'Stream tokens of an earlier generation are no longer valid.';

select seal_schema();
