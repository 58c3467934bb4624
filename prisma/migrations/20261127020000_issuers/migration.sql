-- Users of another system: who they are there, which of their sessions are over, and which tokens are refused.

-- A user of another system may have no address that the system has verified.
alter table users alter column email drop not null;

create table identities (
  issuer text not null check (char_length(issuer) between 1 and 255),
  subject text not null check (char_length(subject) between 1 and 255),
  user_id bigint not null references users on delete cascade on update cascade,
  claimed_username text check (char_length(claimed_username) <= 255),
  claimed_display_name text check (char_length(claimed_display_name) <= 64),
  claimed_email text check (char_length(claimed_email) <= 254),
  claimed_server_role server_role not null default 'USER',
  claims_issued_at timestamptz(3) not null,
  created_at timestamptz(3) not null default now(),
  primary key (issuer, subject)
);
comment on table identities is
  'Who a user is in another system. The issuer''s tokens name the subject; an address never identifies a user.';
comment on column identities.claimed_email is 'Null when the issuer has not verified the address.';
comment on column identities.claimed_server_role is
  'The role that the newest token granted. While it stays the same, a role that was granted here stays too.';
comment on column identities.claims_issued_at is
  'When the newest token whose claims were read was issued: an older one changes nothing.';
-- Serves the refusal of all tokens of a user, and the deletion of a user.
create index identities_user_id_idx on identities (user_id);

alter table sessions
  add column issuer text check (char_length(issuer) between 1 and 255),
  add column foreign_key text check (char_length(foreign_key) between 1 and 512),
  add column token_issued_at timestamptz(3),
  add column expires_at timestamptz(3),
  add constraint foreign_session_is_complete check (
    (issuer is null) = (foreign_key is null) and (issuer is null) = (token_issued_at is null)
    and (issuer is not null or expires_at is null));
comment on column sessions.foreign_key is
  'The session of the other system that this one belongs to: both end together. Null for a session that began with a password.';
comment on column sessions.token_issued_at is 'When the newest of its tokens that was seen here was issued.';
comment on column sessions.expires_at is
  'When the newest of its foreign tokens expires. Null for a session with refresh tokens.';
-- Serves the extension of a session by its next token, and lets two nodes begin it only once.
create unique index sessions_issuer_foreign_key_user_id_key on sessions (issuer, foreign_key, user_id)
  where expires_at is not null;
-- Serves logout tokens, which end all that began with one session of the other system.
create index sessions_issuer_foreign_key_idx on sessions (issuer, foreign_key) where issuer is not null;

create table token_refusals (
  issuer text not null check (char_length(issuer) between 1 and 255),
  refused text not null check (char_length(refused) between 1 and 512),
  issued_until timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  primary key (issuer, refused)
);
comment on table token_refusals is
  'Tokens of other systems that are refused although they are still valid: those of sessions that have ended, and those of users who were suspended or erased.';
comment on column token_refusals.refused is
  'A session''s foreign_key, or subject: followed by a subject, which stands for all its sessions. It names no user here, so it outlives an erased account.';
comment on column token_refusals.issued_until is 'Tokens that were issued later are accepted; infinity refuses them all.';
-- Serves housekeeping.
create index token_refusals_expires_at_idx on token_refusals (expires_at);

create table used_logout_tokens (
  issuer text not null check (char_length(issuer) between 1 and 255),
  jti text not null check (char_length(jti) between 1 and 255),
  expires_at timestamptz(3) not null,
  primary key (issuer, jti)
);
comment on table used_logout_tokens is 'Logout tokens that were used: each is accepted once.';
-- Serves housekeeping.
create index used_logout_tokens_expires_at_idx on used_logout_tokens (expires_at);

create function refuse_tokens(token_issuer text, refused_key text, issued timestamptz) returns void
language sql set search_path = public, pg_temp as $$
  insert into token_refusals (issuer, refused, issued_until, expires_at)
  values (token_issuer, refused_key, issued, now() + interval '31 days')
  on conflict (issuer, refused) do update set
    issued_until = greatest(token_refusals.issued_until, excluded.issued_until), expires_at = excluded.expires_at
$$;
comment on function refuse_tokens is
  'Refuses the tokens of one session or subject that were issued until then. Kept for longer than any token is valid, which is at most 30 days (src/account/foreign-token.ts).';

create function refuse_foreign_tokens(person bigint) returns void
language sql set search_path = public, pg_temp as $$
  -- A clock that is ahead may have issued a token in the future; the newest token that was seen here tells.
  select refuse_tokens(i.issuer, 'subject:' || i.subject, greatest(clock_timestamp(), (
    select max(s.token_issued_at) from sessions s where s.user_id = person and s.issuer = i.issuer)))
  from identities i where i.user_id = person order by i.issuer, i.subject
$$;
comment on function refuse_foreign_tokens is
  'Refuses all tokens of the user that were issued until now, whichever system they come from. Call it before the user''s sessions are deleted.';

create function refuse_ended_sessions() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'sessions'::regclass then perform refuse_foreign_rows(); end if;
  if current_setting('parley.makes_room', true) = 'on' then return null; end if;
  -- Most sessions have nothing to refuse; the deletion below would also run this trigger again and again.
  if not exists (select from deleted where issuer is not null) then return null; end if;
  -- A session that no token has extended for 30 days has ended by itself, and its next token may begin it again.
  perform refuse_tokens(issuer, foreign_key,
    -- Tokens that do not say which session they belong to have the same key after the user's next sign-in there.
    case when starts_with(foreign_key, 'unnamed:') then greatest(clock_timestamp(), newest) else 'infinity' end)
  from (
    select issuer, foreign_key, max(token_issued_at) as newest from deleted
    where issuer is not null and last_used_at > now() - interval '30 days'
    group by issuer, foreign_key order by issuer, foreign_key
  ) ended;
  -- Its tokens may keep another session, beside one that they were exchanged for.
  delete from sessions s using deleted d
  where s.issuer = d.issuer and s.foreign_key = d.foreign_key and s.user_id = d.user_id and s.expires_at is not null
    and d.last_used_at > now() - interval '30 days';
  return null;
end $$;
comment on function refuse_ended_sessions is
  'A session that was ended stays ended: its foreign tokens, which are still valid, bring nothing back, and keep nothing.';

create trigger refuse_ended_sessions after delete on sessions
  referencing old table as deleted for each statement execute function refuse_ended_sessions();

create function end_idle_sessions(person bigint, kept int) returns setof bigint
language plpgsql set search_path = public, pg_temp as $$
begin
  -- Not as a setting of this function: only a superuser may give it one that PostgreSQL does not know.
  perform set_config('parley.makes_room', 'on', true);
  return query delete from sessions where id in (
    select id from sessions where user_id = person order by last_used_at desc, id desc offset kept)
  returning id;
  perform set_config('parley.makes_room', '', true);
end $$;
comment on function end_idle_sessions is
  'Ends all but the user''s most recently used sessions, and returns their ids. No one has ended them, so their foreign tokens are not refused.';

create function refuse_lost_identities() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'identities'::regclass then perform refuse_foreign_rows(); end if;
  perform refuse_tokens(issuer, 'subject:' || subject, greatest(clock_timestamp(), claims_issued_at))
  from (select * from deleted order by issuer, subject) lost;
  return null;
end $$;
comment on function refuse_lost_identities is
  'When a user is erased, the tokens that they have do not create them again. A token that is issued later creates a new user.';

create trigger refuse_lost_identities after delete on identities
  referencing old table as deleted for each statement execute function refuse_lost_identities();

-- Pictures, which the server fetches in the background -----------------------------------------------------------------

create table claimed_pictures (
  user_id bigint primary key references users on delete cascade on update cascade,
  url text not null check (char_length(url) between 1 and 2048),
  file_id bigint references files on delete set null on update cascade,
  attempts int not null default 0 check (attempts >= 0),
  attempted_at timestamptz(3),
  next_attempt_at timestamptz(3) default clock_timestamp()
);
comment on table claimed_pictures is 'The picture that another system''s newest token named for a user, and the avatar that it became.';
comment on column claimed_pictures.file_id is 'Null until it has been fetched, and once the user has another avatar or none.';
comment on column claimed_pictures.next_attempt_at is 'When to fetch it next; null when that is done, or was given up.';
-- Finds the next pictures to fetch.
create index claimed_pictures_next_attempt_at_idx on claimed_pictures (next_attempt_at) where next_attempt_at is not null;
-- Serves the deletion of files. Partial: most pictures that are not fetched have no file.
create index claimed_pictures_file_id_idx on claimed_pictures (file_id) where file_id is not null;

select seal_schema();
