-- Pictures of users of other systems, which the server fetches in the background.

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
