-- The check of what may be deleted from the audit log reads only the first entry of an index.

create or replace function keep_audit_log() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
  if exists (select from deleted where created_at > clock_timestamp() - interval '30 days')
    -- Not `exists (… where id < …)`: the planner scans the whole table for that, hoping for an early match.
    or (select min(id) from audit_entries) < (select max(id) from deleted)
  then
    raise exception 'only the oldest audit entries can be deleted, once they are 30 days old'
      using errcode = 'check_violation';
  end if;
  return null;
end $$;

select seal_schema();
