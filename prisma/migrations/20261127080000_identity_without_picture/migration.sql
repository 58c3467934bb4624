-- A picture in another system is not fetched, so its URL is not stored either.

alter table identities drop column claimed_picture;

select seal_schema();
