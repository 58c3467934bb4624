-- What the server could not do with a file, so that its uploader learns why it has no thumbnail or is not a picture.

alter table blobs add column note text check (char_length(note) between 1 and 120);
comment on column blobs.note is 'What the server could not do with these bytes, as a message for users; null if it could do everything.';

alter type new_blob add attribute note text;

drop function add_files(boolean, bigint, text, jsonb, bytea);
create function add_files(waits boolean, quota bigint, except_partial text, given jsonb, content bytea) returns table (
  place int, id bigint, name text, "contentType" text, size int, hash text, width int, height int, blurhash text, note text
)
language plpgsql as $$
#variable_conflict use_column
declare
  added new_blob[] := array(select one from jsonb_populate_recordset(null::new_blob, given) one);
  locked bigint[];
  fitting bigint[];
  fitting_places int[];
begin
  if waits then
    locked := array(select distinct person from unnest(added) where person is not null order by person);
    perform pg_advisory_xact_lock(lock_key('personal storage'), storage_lock(person)) from unnest(locked) person;
  else
    -- A lock that delays one user's file (their account is being deleted) delays all files added here: at most this long.
    perform set_config('lock_timeout', '1s', true);
    locked := array(
      select person from (select distinct person from unnest(added) where person is not null order by person) each
      where pg_try_advisory_xact_lock(lock_key('personal storage'), storage_lock(person)));
  end if;
  -- Sees all that was committed before the locks were acquired.
  fitting := array(
    select person from unnest(added) where person = any (locked)
    group by person having stored_bytes(person, except_partial) + sum(size) <= quota);
  if fitting = '{}' then return; end if;
  fitting_places := array(select owner from unnest(added) where person = any (fitting));
  -- Until the commit, housekeeping cannot sweep these bytes, although no row refers to them yet.
  perform lock_hashes(array(select hash from unnest(added)));

  insert into blobs as b (hash, size, content_type, width, height, blurhash, bytes, note)
  -- The same bytes may come twice; the entry that describes them as a picture comes first.
  select distinct on (one.hash) decode(one.hash, 'hex'), one.size, content_type, width, height, blurhash,
    substring(content from start for one.size::int), note
  from unnest(added) one
  where owner = any (fitting_places)
  order by one.hash, width is null
  -- Bytes that were missing have just been uploaded again.
  on conflict (hash) do update set missing_since = null, bytes = coalesce(b.bytes, excluded.bytes),
    width = coalesce(b.width, excluded.width), height = coalesce(b.height, excluded.height),
    blurhash = coalesce(b.blurhash, excluded.blurhash),
    -- This upload succeeded where an earlier one did not.
    note = case when b.width is null and excluded.width is not null then excluded.note else b.note end
  where b.missing_since is not null or (b.bytes is null and excluded.bytes is not null)
    or (b.width is null and excluded.width is not null);

  if exists (select from unnest(added) where thumbnail_size is not null) then
    with thumbnail as (
      select decode(added[owner].hash, 'hex') as picture, thumbnail_size as size, decode(one.hash, 'hex') as hash
      from unnest(added) one
      where thumbnail_size is not null and owner = any (fitting_places)
    ),
    made as (
      insert into thumbnails (blob_hash, size, thumbnail_hash)
      select picture, size, hash from thumbnail order by picture, size on conflict do nothing
    )
    -- Another version of parley may have stored other thumbnails; then these are unused, and housekeeping sweeps them.
    insert into loose_blobs (hash) select distinct hash from thumbnail order by hash on conflict do nothing;
  end if;

  -- Ordered, so that ids are drawn in this order.
  return query with file as (
    select one.*, nextval('files_id_seq') as id from unnest(added) one where person = any (fitting) order by owner
  ),
  f as (
    insert into files (id, uploader_id, blob_hash, name)
    select id, person, decode(file.hash, 'hex'), file.name from file
  )
  select file.owner, file.id, file.name, b.content_type, b.size::int, file.hash, b.width, b.height, b.blurhash, b.note
  from file cross join lateral (select * from blobs where hash = decode(file.hash, 'hex') offset 0) b order by owner;
end $$;
comment on function add_files is 'Creates files from uploads (`given`: an array of new_blob). For each user it creates all files, or none if they would exceed the quota. Unless it `waits`, it also creates none for a user if another transaction is adding files for them, and it fails if it waits a second for any other lock.';
