-- Limits on how often something is done, what sign-in remembers, and which stream tokens are good.

-- The columns are rate-limiter-flexible's, in its order. What a crash loses is only who has to wait.
create unlogged table rate_limits (
  key text primary key check (char_length(key) <= 255),
  points integer not null default 0,
  expire bigint
);
comment on table rate_limits is 'Written by rate-limiter-flexible (src/core/rate-limit.ts). Keys of people and networks are hashes.';
-- Serves: the chore that deletes what has expired.
create index rate_limits_expire_idx on rate_limits (expire);

create table known_networks (
  user_id bigint not null references users on delete cascade on update cascade,
  network_hash bytea not null check (octet_length(network_hash) = 32),
  used_at timestamptz(3) not null default clock_timestamp(),
  primary key (user_id, network_hash)
);
comment on table known_networks is 'Where an account has signed in from: others'' guesses do not slow it down there.';

alter table sessions add column stream_token_generation integer not null default 0;
comment on column sessions.stream_token_generation is 'Stream tokens of an earlier generation are no longer good.';

select seal_schema();
