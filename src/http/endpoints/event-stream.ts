/**
 * Server-Sent Events over a stream reply. HTML Living Standard, section 9.2.
 */
import type { EventSink, StreamEvent } from '../../mcp/call-reply.ts';
import type { StreamReply, StreamSink } from '../messages.ts';

const headers = { 'Content-Type': 'text/event-stream' };

/** A reply whose events are written by `open`. */
export function toEventStreamReply(open: (sink: EventSink) => void): StreamReply {
  return {
    kind: 'stream',
    status: 200,
    headers,
    open: (sink) => {
      open(toEventSink(sink));
    },
  };
}

/** One event as text. JSON holds no raw line break, so `data` is always one line. */
export function renderEvent({ id, data, retryMs }: StreamEvent): string {
  const idLine = id === undefined ? '' : `id: ${id}\n`;
  const retryLine = retryMs === undefined ? '' : `retry: ${retryMs}\n`;
  // Without id and data it is an instruction to the client, not an event.
  const dataLine = data === '' && id === undefined ? '' : `data: ${data}\n`;
  return `${idLine}${retryLine}${dataLine}\n`;
}

function toEventSink(sink: StreamSink): EventSink {
  return {
    get isOpen() {
      return sink.isOpen;
    },
    send: (event) => sink.write(renderEvent(event)),
    keepAlive: () => {
      sink.write(':\n\n');
    },
    end: () => {
      sink.end();
    },
    onClose: (listener) => {
      sink.onClose(listener);
    },
  };
}
