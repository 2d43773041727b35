import { fillPattern } from './marked-text.ts';
import { promptFamilies } from './prompts.ts';
import { textOf, type TemplateTexts } from './template-texts.ts';
import { vlPromptSource, type VlPromptSource } from './vl-prompt-source.ts';

/** The prompt that wgrank knows by heart. */
export function vlBuiltInPrompt(escape: boolean): VlPromptSource {
  const { ask, plain } = promptFamilies['qwen3-vl'];
  const render = ({ query, document, instruct }: TemplateTexts): string => {
    const texts = { query: textOf(query), document: textOf(document), instruct: instruct && textOf(instruct) };
    return (instruct ? ask : plain).map((part) => fillPattern(part, texts, false).text).join('');
  };
  const renderer = { render: async (prompts: readonly TemplateTexts[]) => prompts.map(render) };
  const form = { content: 'text', instruct: 'text' } as const;
  return vlPromptSource({ name: 'built in: qwen3-vl', renderer, form, escape, sample: '' });
}
