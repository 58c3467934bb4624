import { useState, type DragEvent, type ReactNode } from 'react';
import { Icon } from '../icon.tsx';

/** An area that accepts files dropped anywhere on it. */
export function DropZone({
  className,
  isOpen,
  take,
  children,
}: {
  className: string;
  isOpen: boolean;
  take: (files: readonly File[]) => void;
  children: ReactNode;
}) {
  const [isOver, setOver] = useState(false);
  const hasFiles = (event: DragEvent) => isOpen && event.dataTransfer.types.includes('Files');
  return (
    <div
      className={className}
      onDragOver={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => {
        const { relatedTarget, currentTarget } = event;
        if (!(relatedTarget instanceof Node && currentTarget.contains(relatedTarget))) setOver(false);
      }}
      onDrop={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setOver(false);
        take([...event.dataTransfer.files]);
      }}
    >
      {children}
      {isOver && (
        <div className="drop-hint">
          <Icon name="attach" />
          Drop files to send them
        </div>
      )}
    </div>
  );
}
