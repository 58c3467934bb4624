-- Sessions that are opened in transactions whose snapshot is older than a suspension (psql, repeatable read).

create or replace function lock_suspended_user() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_relid <> 'restrictions'::regclass then perform refuse_foreign_rows(); end if;
  -- An update, not just a lock: under repeatable read, a transaction that opens a session afterwards then fails, whereas
  -- after a mere lock it would not see the suspension.
  update users set server_role = server_role where id = new.user_id;
  return new;
end $$;

select seal_schema();
