-- Small files: their bytes are in their blob's row, so that they last with the commit that makes them somebody's, and come with
-- the question who may see them. Of 1,000 files of 4 KiB that spares as many files, renames and fsyncs (bench/results/files.md);
-- that objects of some KiB are better off in the database is known since Sears, van Ingen and Gray, "To BLOB or Not To BLOB"
-- (MSR-TR-2006-45). What a person has stored is counted as files come and go.

-- Bytes ---------------------------------------------------------------------------------------------------------------

alter table blobs add column bytes bytea,
  -- What is compressed can't be made smaller, and most files are.
  alter column bytes set storage external,
  add constraint inline_bytes_are_few_and_their_own
    check (octet_length(bytes) <= 65536 and octet_length(bytes) = size and sha256(bytes) = hash),
  add constraint what_is_here_is_not_missing check (bytes is null or missing_since is null);
comment on table blobs is 'Bytes by their SHA-256, here or in the file store. What no file refers to is swept, bytes and all.';
comment on column blobs.bytes is 'Where they are few; null: they are in the file store.';

create function keep_blob() returns trigger
language plpgsql as $$
begin
  raise exception 'bytes keep their size' using errcode = 'check_violation';
end $$;
comment on function keep_blob is 'What people have stored is counted by it.';

create trigger keep_blob before update of size on blobs for each row
  when (old.size <> new.size) execute function keep_blob();
alter table blobs enable always trigger keep_blob;

-- How much a person has stored ----------------------------------------------------------------------------------------

create table storage_uses (
  user_id bigint primary key references users on delete cascade on update cascade,
  bytes bigint not null check (bytes >= 0)
);
comment on table storage_uses is 'The bytes of all files that a person has uploaded; of it goes what storage_releases says.';

create table storage_releases (
  id bigint generated always as identity primary key,
  user_id bigint not null references users on delete cascade on update cascade,
  bytes bigint not null check (bytes > 0)
);
comment on table storage_releases is 'The bytes of files that are gone. Taken off storage_uses with their uploader''s next file: whoever deletes the files of many would otherwise hold the rows of all of them, in any order.';
create index storage_releases_user_id_idx on storage_releases (user_id);

-- (Subqueries and laterals instead of joins: a plan made while the tables were new and empty reads them whole, however large
-- they have become, until they are analyzed.)
create function count_stored_bytes() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  released record;
begin
  insert into storage_uses as stored (user_id, bytes)
  select uploader_id, sum((select size from blobs where hash = blob_hash)) from inserted
  group by uploader_id order by uploader_id
  on conflict (user_id) do update set bytes = stored.bytes + excluded.bytes;

  -- Each person's together: an update passes by what those before it in the transaction left, and 20,000 took seconds.
  for released in
    with gone as (
      delete from storage_releases where user_id = any (array(select distinct uploader_id from inserted)) returning *
    )
    select user_id, sum(bytes) as bytes from gone group by user_id
  loop
    -- Its row is held since it was counted in above.
    update storage_uses set bytes = bytes - released.bytes where user_id = released.user_id;
  end loop;
  return null;
end $$;
comment on function count_stored_bytes is 'Counts what a person has stored, whoever writes the row.';

create function free_stored_bytes() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  -- Of somebody who is being deleted nothing is counted any more.
  insert into storage_releases (user_id, bytes)
  select uploader_id, sum((select size from blobs where hash = blob_hash)) from deleted
  where (select true from users where id = uploader_id)
  group by uploader_id order by uploader_id;
  return null;
end $$;
comment on function free_stored_bytes is 'Whatever way a file goes, its uploader has its room back.';

create trigger count_stored_bytes after insert on files
  referencing new table as inserted for each statement execute function count_stored_bytes();
create trigger free_stored_bytes after delete on files
  referencing old table as deleted for each statement execute function free_stored_bytes();
-- Also for writers under session_replication_role = replica.
alter table files enable always trigger count_stored_bytes;
alter table files enable always trigger free_stored_bytes;

-- It would leave what people have stored miscounted, and who has less than nothing can't upload any more.
create trigger refuse_truncate before truncate on storage_uses execute function refuse_truncate();
create trigger refuse_truncate before truncate on storage_releases execute function refuse_truncate();

-- After the triggers, for these keep writers away until all is counted.
insert into storage_uses (user_id, bytes)
select f.uploader_id, sum(b.size) from files f join blobs b on b.hash = f.blob_hash group by f.uploader_id;

create function stored_bytes(person bigint, except_partial text default null) returns bigint
language plpgsql stable as $$
begin
  return coalesce((select bytes from storage_uses where user_id = person), 0)
    - coalesce((select sum(bytes) from storage_releases where user_id = person), 0)
    + coalesce((select sum(reserved_bytes) from partial_uploads
      where user_id = person and file_id is null and id is distinct from except_partial), 0);
end $$;
comment on function stored_bytes is 'What counts for a person''s quota: their files, the same bytes twice twice, and what is reserved for uploads that are not whole; but for the one that is just becoming a file.';

-- New files -----------------------------------------------------------------------------------------------------------

create function storage_lock(person bigint) returns int
language sql immutable as $$
  select (person % 2147483648)::int
$$;
comment on function storage_lock is 'Whoever adds to what a person has stored takes turns by the advisory lock 7237127 with this key, until the transaction ends.';

create function lock_hashes(hashes text[]) returns void
language plpgsql as $$
begin
  -- In one order, or two might wait for each other.
  perform pg_advisory_xact_lock(7237126, key)
  from (select distinct ('x' || left(hash, 8))::bit(32)::int as key from unnest(hashes) hash order by key) keys;
end $$;
comment on function lock_hashes is 'Waits until nobody else keeps or removes the bytes with these hashes (in hex); held until the transaction ends.';

create function add_files(
  waits boolean, quota bigint, except_partial text,
  people bigint[], names text[],
  hashes text[], sizes bigint[], content_types text[], widths int[], heights int[], blurhashes text[],
  starts int[], content bytea, owners int[], thumbnail_sizes thumbnail_size[]
) returns table (
  place int, id bigint, name text, "contentType" text, size int, hash text, width int, height int, blurhash text
)
language plpgsql as $$
#variable_conflict use_column
declare
  locked bigint[];
  fitting bigint[];
begin
  if waits then
    perform pg_advisory_xact_lock(7237127, storage_lock(person))
    from (select distinct person from unnest(people) person order by person) each;
    locked := people;
  else
    -- Whoever holds up one person (their account is just going) holds up all who are added here, for no longer than that.
    perform set_config('lock_timeout', '1s', true);
    locked := array(select person from (select distinct person from unnest(people) person) each
      where pg_try_advisory_xact_lock(7237127, storage_lock(person)));
  end if;
  -- With what was committed until the locks were had.
  fitting := array(
    select person from unnest(people, sizes[:cardinality(people)]) as given (person, size)
    where person = any (locked)
    group by person having stored_bytes(person, except_partial) + sum(size) <= quota);
  if fitting = '{}' then return; end if;
  -- Until the commit nobody sweeps these bytes, though no row refers to them yet.
  perform lock_hashes(hashes);

  insert into blobs as b (hash, size, content_type, width, height, blurhash, bytes)
  -- The same bytes may come twice; what is known of them as a picture goes before what is not.
  select distinct on (given.hash) decode(given.hash, 'hex'), given.size, content_type, width, height, blurhash,
    substring(content from start for given.size::int)
  from unnest(hashes, sizes, content_types, widths, heights, blurhashes, starts, owners) with ordinality
    as given (hash, size, content_type, width, height, blurhash, start, owner, place)
  where people[coalesce(owner, place)] = any (fitting)
  order by given.hash, width is null
  -- What is known to be missing has just come again.
  on conflict (hash) do update set missing_since = null, bytes = coalesce(b.bytes, excluded.bytes),
    width = coalesce(b.width, excluded.width), height = coalesce(b.height, excluded.height),
    blurhash = coalesce(b.blurhash, excluded.blurhash)
  where b.missing_since is not null or (b.bytes is null and excluded.bytes is not null)
    or (b.width is null and excluded.width is not null);

  if cardinality(thumbnail_sizes) > 0 then
    with given as (
      select decode(hashes[owner], 'hex') as picture, thumbnail.size, decode(hash, 'hex') as hash
      from unnest(hashes[cardinality(people) + 1:], owners[cardinality(people) + 1:], thumbnail_sizes)
        as thumbnail (hash, owner, size)
      where people[owner] = any (fitting)
    ),
    added as (
      insert into thumbnails (blob_hash, size, thumbnail_hash)
      select picture, size, hash from given order by picture, size on conflict do nothing
    )
    -- Made by another version of the program, there may be others: then these are of no use, and swept.
    insert into loose_blobs (hash) select distinct hash from given order by hash on conflict do nothing;
  end if;

  -- In their order: ids are drawn in it.
  return query with given as (
    select given.*, nextval('files_id_seq') as id
    from unnest(people, names, hashes[:cardinality(people)]) with ordinality as given (person, name, hash, place)
    where person = any (fitting) order by place
  ),
  f as (
    insert into files (id, uploader_id, blob_hash, name)
    select id, person, decode(given.hash, 'hex'), given.name from given
  )
  select place::int, given.id, given.name, b.content_type, b.size::int, given.hash, b.width, b.height, b.blurhash
  from given cross join lateral (select * from blobs where hash = decode(given.hash, 'hex') offset 0) b order by place;
end $$;
comment on function add_files is 'Makes files of what people have sent. Each person''s are made all or, when they would have more than the quota, none; unless it `waits`, also none when somebody else is adding to what that person has stored, and it fails when it waits for any other lock for a second. The first blobs are the files''; the others are thumbnails, and `owners` says of which file, from 1. `starts` says where in `content` the bytes of those begin that are kept here, from 1; null: the caller keeps them in the file store before the commit.';
