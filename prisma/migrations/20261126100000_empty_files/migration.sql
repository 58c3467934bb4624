-- A file may be empty: clients and people upload such files, and refusing them told nobody anything.

alter table blobs
  drop constraint blobs_size_check,
  add constraint blobs_size_check check (size >= 0);

alter table partial_uploads
  drop constraint partial_uploads_size_check,
  drop constraint partial_uploads_reserved_bytes_check,
  add constraint partial_uploads_size_check check (size >= 0),
  add constraint partial_uploads_reserved_bytes_check check (reserved_bytes >= 0);

alter table storage_releases
  drop constraint storage_releases_bytes_check,
  add constraint storage_releases_bytes_check check (bytes >= 0);
