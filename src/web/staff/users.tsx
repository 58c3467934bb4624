import { query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { useCallback, useState } from 'react';
import { describeFailure } from '../failure.ts';
import { useLoaded, useSettled } from '../load.ts';
import { usersDocument } from './listed-user.ts';
import { More } from './more.tsx';
import { UserRow } from './user-row.tsx';

const pageSize = 20;

/** The users of the server, so that staff can find and suspend them. */
export function Users({ isAdmin }: { isAdmin: boolean }) {
  const [text, setText] = useState('');
  const [isSuspended, setSuspended] = useState(false);
  const [count, setCount] = useState(pageSize);
  const search = useSettled(text.trim());
  const ask = useCallback(
    async (client: Client) => {
      const filter = { ...(search !== '' && { search }), ...(isSuspended && { isSuspended }) };
      return (await query(client, usersDocument, { ...filter, first: count })).admin?.users;
    },
    [search, isSuspended, count],
  );
  const { data, error, reload } = useLoaded(ask);
  return (
    <>
      <input
        className="input"
        type="search"
        aria-label="Find users"
        placeholder={isAdmin ? 'Name, username or email address' : 'Name or username'}
        value={text}
        onChange={({ target }) => setText(target.value)}
      />
      <label className="row small">
        <input type="checkbox" checked={isSuspended} onChange={({ target }) => setSuspended(target.checked)} />
        Only those who are suspended
      </label>
      {data == null && <p className="muted">{error === null ? 'Loading …' : describeFailure(error)}</p>}
      {data?.edges.length === 0 && <p className="muted">No one was found.</p>}
      <ul className="users">
        {data?.edges.map(({ node }) => (
          <UserRow key={node.id} listed={node} isAdmin={isAdmin} onChanged={reload} />
        ))}
      </ul>
      <More page={data} onMore={() => setCount(count + pageSize)} />
    </>
  );
}
