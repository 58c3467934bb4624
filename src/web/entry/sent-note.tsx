/** A note that an email is on its way. */
export function SentNote({ text }: { text: string }) {
  return (
    <section className="entry-box" role="status">
      <h1>Check your email</h1>
      <p>{text}</p>
      <p className="muted">The link works for an hour. If nothing arrives, check your spam folder.</p>
    </section>
  );
}
