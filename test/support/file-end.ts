let works: (() => unknown)[] = [];

/**
 * Registers cleanup that runs after the file's last test, in reverse order of registration. This function may be called
 * anywhere. By contrast, vitest 4 never runs an `afterAll` that is registered in a hook or in a test, which would leave
 * servers and folders behind until the run ends.
 */
export function atFileEnd(work: () => unknown): void {
  works.push(work);
}

/** Runs every cleanup, and then throws the error of the first one that failed, if any. */
export async function endFile(): Promise<void> {
  const due = works.toReversed();
  works = [];
  const failures: unknown[] = [];
  for (const work of due) {
    try {
      await work();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
