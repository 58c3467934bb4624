/** Records a migration by a newer version, which removes something that versions before 2099 use. */
export const removal = `insert into _prisma_migrations (id, checksum, migration_name, logs, finished_at)
  values (gen_random_uuid(), 'x', '20990102000000_four', 'contract after 20990101000000_three', now())`;
