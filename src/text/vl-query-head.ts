import { probeTexts, seamsOf } from './prompt-seams.ts';
import type { VlTexts } from './vl-prompt-source.ts';
import type { PromptPart } from './vl-prompt.ts';
import { countIds, cutText, type IdMask, type PromptCount, type PromptIds } from './vl-truncation.ts';

/** Both sides of a prompt but the document. */
export type Asking = Pick<VlTexts, 'query' | 'instruct'>;

/** What the prompts of one query begin with. */
export interface QueryHead {
  readonly count: PromptCount;
  /** Set when its text fills every prompt: nothing of a document's text survives, whatever the document. */
  readonly full?: FullHead;
}

/** A head that is tokenised once for all documents. */
export interface FullHead {
  /** Stands in for query and instruction before the documents. */
  readonly brief: Asking;
  /** Special ids in the stand-in's head. */
  readonly briefSpecial: number;
  /** All special ids of the real head, and as many others as can survive. */
  readonly ids: Int32Array;
  /** Ids that a prompt has more than what `withHead` returns. */
  readonly left: number;
}

/** Ids that a document may change before its own where words meet; generously. */
const seamIds = 64;
/** UTF-16 units of a stand-in: what the document is near to stays. */
const briefUnits = 32;

/** Prompts whose common beginning is the head. */
export function probesOf({ query, instruct }: Asking): VlTexts[] {
  return probeTexts.map((text) => ({ query, document: [{ kind: 'text', text }], instruct }));
}

/** The same media with the last bit of text. */
export function brieflyOf({ query, instruct }: Asking): Asking {
  const last = query.findLastIndex(({ kind }) => kind === 'text');
  const kept = query.flatMap((part, i): PromptPart[] => {
    if (part.kind !== 'text') return [part];
    return i === last ? [{ ...part, text: part.text.slice(-briefUnits) }] : [];
  });
  return { query: kept, instruct: instruct?.slice(-briefUnits) };
}

/**
 * Whether a head fills every prompt.
 * @param keep text ids that survive at the most
 */
export const fills = ({ text }: PromptCount, keep: number): boolean => keep >= 0 && text >= keep + seamIds;

/**
 * Makes a full head of the probes of a query and of its stand-in. Undefined when they do not go on in the same way behind the head:
 * then the template writes the query behind the document, too.
 */
export function fullHead(
  brief: Asking,
  probes: readonly Int32Array[],
  briefProbes: readonly Int32Array[],
  special: IdMask,
  keep: number,
): FullHead | undefined {
  const { headCount } = seamsOf(probes[0]!, probes[1]!);
  const { headCount: briefCount } = seamsOf(briefProbes[0]!, briefProbes[1]!);
  for (const [i, probe] of probes.entries()) {
    const rest = probe.subarray(headCount);
    const briefRest = briefProbes[i]!.subarray(briefCount);
    if (rest.length !== briefRest.length || rest.some((id, at) => id !== briefRest[at])) return undefined;
  }
  const briefHead = briefProbes[0]!.subarray(0, briefCount);
  const briefSpecial = countIds(briefHead, special, 0).special;
  const ids = cutText(probes[0]!.subarray(0, headCount), special, 0, keep);
  const kept = ids.length + briefCount - endOfSpecial(briefHead, special, briefSpecial);
  return { brief, briefSpecial, ids, left: headCount - kept };
}

/** The real head before what a prompt with the stand-in has behind its head's last special id: equal once the text is cut. */
export function withHead(head: FullHead, prompt: PromptIds, special: IdMask): PromptIds {
  const { ids, briefSpecial, left } = head;
  const rest = prompt.ids.subarray(endOfSpecial(prompt.ids, special, briefSpecial));
  const joined = new Int32Array(ids.length + rest.length);
  joined.set(ids);
  joined.set(rest, ids.length);
  return { ids: joined, left: left + prompt.left };
}

/** Where the first ids end that hold so many special ones. */
function endOfSpecial(ids: Int32Array, special: IdMask, count: number): number {
  let end = 0;
  for (let found = 0; found < count; end += 1) if (special[ids[end]!] === 1) found += 1;
  return end;
}
