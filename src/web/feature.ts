import { useEffect, useState } from 'react';
import { askAsVisitor } from './visitor.ts';

/**
 * Returns the features that the server offers, such as `MAIL`; see `Api.features` in the schema. Returns null until the
 * server has answered.
 */
export function useFeatures(): ReadonlySet<string> | null {
  const [features, setFeatures] = useState<ReadonlySet<string> | null>(null);
  useEffect(() => {
    let isShown = true;
    askAsVisitor<{ api: { features: string[] } }>('{ api { features } }').then(
      ({ api }) => isShown && setFeatures(new Set(api.features)),
      () => {},
    );
    return () => {
      isShown = false;
    };
  }, []);
  return features;
}
