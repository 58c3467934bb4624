import { createContext, useContext, useMemo, useState, type ReactNode } from 'react';

/** What can be open beside the chat. */
export type Panel = 'details' | 'pins' | 'search';

type Ui = {
  panel: Panel | null;
  showPanel: (panel: Panel | null) => void;
  dialog: ReactNode;
  /** Opens a dialog in place of one that is open; null closes it. */
  showDialog: (dialog: ReactNode) => void;
};

const Context = createContext<Ui | null>(null);

/** Knows what is open in the page. */
export function UiProvider({ children }: { children: ReactNode }) {
  const [panel, showPanel] = useState<Panel | null>(null);
  const [dialog, showDialog] = useState<ReactNode>(null);
  const ui = useMemo(() => ({ panel, showPanel, dialog, showDialog }), [panel, dialog]);
  return (
    <Context value={ui}>
      {children}
      {dialog}
    </Context>
  );
}

/** What is open in the page, and how to change it. */
export function useUi(): Ui {
  const ui = useContext(Context);
  if (ui === null) throw new Error('This component must be inside a UiProvider.');
  return ui;
}
