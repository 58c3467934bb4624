import { createContext, useContext, useMemo, useState, type ReactNode } from 'react';

/** The panels that can be open beside the chat. */
export type Panel = 'details' | 'pins' | 'search';

type Ui = {
  panel: Panel | null;
  showPanel: (panel: Panel | null) => void;
  dialog: ReactNode;
  /** Opens a dialog, which replaces any dialog that is already open; null closes the open dialog. */
  showDialog: (dialog: ReactNode) => void;
};

const Context = createContext<Ui | null>(null);

/** Stores which panel and dialog are open. */
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

/** Returns which panel and dialog are open, and the functions that change this. */
export function useUi(): Ui {
  const ui = useContext(Context);
  if (ui === null) throw new Error('This component must be inside a UiProvider.');
  return ui;
}
