/** Says that an email is on its way. */
export function SentNote({ text }: { text: string }) {
  return (
    <section className="entry-box" role="status">
      <h1>Look at your mail</h1>
      <p>{text}</p>
      <p className="muted">The link works for an hour. If nothing arrives, look among what your mail takes for spam.</p>
    </section>
  );
}
