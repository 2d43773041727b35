import type { ChatTemplate } from './chat-template.ts';
import { promptUnits, type TemplateTexts } from './template-texts.ts';

/** What the process is told: first what to render, then prompts, all of them or none. */
export type RenderCommand =
  | { readonly kind: 'load'; readonly template: ChatTemplate; readonly limitMs: number }
  | { readonly kind: 'render'; readonly id: number; readonly prompts: readonly TemplateTexts[] };

/** What it says. */
export type RenderReport =
  | { readonly kind: 'ready' }
  /** The machine gave the process too little time; it tries again. */
  | { readonly kind: 'starved'; readonly id: number }
  | { readonly kind: 'rendered'; readonly id: number; readonly texts: readonly string[] }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string };

/** Characters that a template may write besides what it is given. */
const ownUnits = 256 * 1024;

/** Longest prompt in UTF-16 units: a template may write every text a few times. */
export function longestPrompt(texts: TemplateTexts): number {
  return ownUnits + 4 * promptUnits(texts);
}
