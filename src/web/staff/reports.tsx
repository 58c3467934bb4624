import { query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { useCallback, useState } from 'react';
import { describeFailure } from '../failure.ts';
import { useLoaded } from '../load.ts';
import { Select } from '../select.tsx';
import { ReportCard } from './report-card.tsx';
import { reportsDocument } from './report.ts';
import { More } from './more.tsx';

const pageSize = 20;
const kinds = { open: 'Open', resolved: 'Resolved' };

/** The messages that users have reported. */
export function Reports() {
  const [kind, setKind] = useState('open');
  const [count, setCount] = useState(pageSize);
  const isOpen = kind === 'open';
  const ask = useCallback(
    async (client: Client) => (await query(client, reportsDocument, { isOpen, first: count })).admin?.reports,
    [isOpen, count],
  );
  const { data, error, reload } = useLoaded(ask);
  const reports = data?.edges.filter(({ node }) => (node.resolvedAt === null) === isOpen) ?? [];
  return (
    <>
      <Select label="Show" options={kinds} value={kind} onChange={({ target }) => setKind(target.value)} />
      {data == null && <p className="muted">{error === null ? 'Loading …' : describeFailure(error)}</p>}
      {data != null && reports.length === 0 && (
        <p className="muted">{isOpen ? 'There are no open reports.' : 'There are no resolved reports yet.'}</p>
      )}
      <ul className="stack">
        {reports.map(({ node }) => (
          <ReportCard key={node.id} report={node} onResolved={reload} />
        ))}
      </ul>
      <More page={data} onMore={() => setCount(count + pageSize)} />
    </>
  );
}
