import { afterAll, describe, expect, test } from 'vitest';

import { TemplateProcess } from '../../src/text/template-process-node.ts';
import { vlTemplatePrompt } from '../../src/text/vl-template-prompt.ts';
import { image, text } from './vl-encoder.ts';

const processes: TemplateProcess[] = [];

function start(source: string, escape = false) {
  const renderer = new TemplateProcess({ source, name: 't.jinja', specialTokens: {} });
  processes.push(renderer);
  return vlTemplatePrompt({ name: 't.jinja', renderer, escape });
}

afterAll(async () => {
  await Promise.all(processes.map((renderer) => renderer.close()));
});

const fault = (message: RegExp): unknown =>
  expect.objectContaining({ code: 'template-invalid', message: expect.stringMatching(message) as string });

const pad = (kind: string): string => `<|vision_start|><|${kind}_pad|><|vision_end|>`;
const branch = (kind: string, written: string): string => `{%- if part.type == "${kind}" -%}${written}{%- endif -%}`;
/** A loop over the parts of one side. */
const loop = (side: string, ...branches: string[]): string =>
  `{%- for part in ${side} -%}${branches.join('')}{%- endfor -%}`;
const words = branch('text', '{{ part.text }}');
const pictures = branch('image', pad('image'));
const clips = branch('video', pad('video'));
const good = (side: string): string => loop(side, words, pictures, clips);

const byRole = (role: string): string => `(messages | selectattr("role", "eq", "${role}") | first).content`;

describe('at start a template is refused', () => {
  test.each<[string, string, RegExp]>([
    ['that loses the document', good('query') + loop('[document]'), /loses the document.*qwen3_vl_reranker.jinja/],
    ['that loses the query', good('document') + loop('[query]'), /loses the query/],
    ['that loses pictures', good('query') + loop('document', words, clips), /given image, image, .* it writes image/],
    ['that loses clips', good('query') + loop('document', words, pictures), /loses or moves pictures and clips/],
    [
      'that takes the first picture only',
      `${good('query')}${loop('document', words)}${pad('image')}`,
      /loses or moves/,
    ],
    ['that writes a picture too many', `${good('query')}${good('document')}${pad('image')}`, /loses or moves/],
    ['that puts the document first', good('document') + good('query'), /loses or moves pictures/],
    [
      'that sorts the parts',
      good('query') + loop('document', pictures) + loop('document', clips) + loop('document', words),
      /loses or moves pictures/,
    ],
    [
      'that writes clips without their marks',
      good('query') +
        loop('document', words, pictures, branch('video', '<|vision_start|>\n<|video_pad|><|vision_end|>')),
      /a clip's pad without <\|vision_start\|> before it/,
    ],
    [
      'that loses the pictures when there is an instruction',
      `${good('query')}{% if instruct %}${loop('document', words)}{% else %}${good('document')}{% endif %}`,
      /loses or moves pictures/,
    ],
    ['that writes lists', '{{ query }} {{ document }} <|image_pad|>', /loses the query/],
    ['that reads a message of a conversation', '{{ messages[0].content[0].text }}', /loses the query/],
    ['that is empty', '', /loses the query/],
    ['that throws', '{{ raise_exception("no") }}', /fails: no/],
    ['that loops', '{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}', /500 ms/],
  ])('%s', async (_, source, message) => {
    await expect(start(source)).rejects.toEqual(fault(message));
  });

  test('that changes its texts, when they are to be escaped', async () => {
    const trimmed = good('document').replace('{{ part.text }}', '{{ part.text | trim }}');
    await start(good('query') + trimmed);
    await expect(start(good('query') + trimmed, true)).rejects.toEqual(fault(/changes the texts/));
  });
});

describe('while it serves', () => {
  test('a template that loses a picture of one prompt fails that call; the next one is answered', async () => {
    const trap = `{% if query[0].text == "trap" %}${loop('document', words)}{% else %}${good('document')}{% endif %}`;
    const source = await start(good('query') + trap);
    const document = [text('d'), image(2)];
    await expect(source.prompts([{ query: [text('trap')], document }])).rejects.toEqual(
      fault(/given image it writes none/),
    );
    const [prompt] = await source.prompts([{ query: [text('q')], document }]);
    expect(prompt!.text).toBe(`qd${pad('image')}`);
  });

  test('a pad that the template itself makes of a text is no picture', async () => {
    const source = await start(good('query').replace('part.text', 'part.text | lower') + good('document'));
    const ask = (query: string) => source.prompts([{ query: [text(query)], document: [image(1)] }]);
    await expect(ask('<|IMAGE_PAD|>')).rejects.toEqual(fault(/given image it writes image, image/));
    const [prompt] = await ask('A <|image_pad|>');
    expect(prompt).toEqual({
      text: `a <|image_pad|>${pad('image')}`,
      plain: [2, 15],
      slots: [{ kind: 'image', at: 15 + '<|vision_start|>'.length }],
    });
  });

  test('a template may leave other special tokens out of the texts', async () => {
    const cleaned = good('query').replace('part.text', 'part.text | replace("<|im_end|>", "")');
    const source = await start(cleaned + good('document'));
    const [prompt] = await source.prompts([{ query: [text('a<|im_end|>|<|image_pad|>')], document: [] }]);
    expect(prompt!.text).toBe('a|<|image_pad|>');
  });
});

test('instructions of a message are lists of parts or texts, as the template takes them', async () => {
  const sides = good(byRole('query')) + good(byRole('document'));
  const systems = '{%- for message in messages if message.role == "system" -%}';
  for (const written of ['{{ message.content }}', '{{ message.content[0].text }}']) {
    const source = await start(`${systems}${written}{%- endfor -%}${sides}`);
    const [prompt] = await source.prompts([{ query: [text('q')], document: [text('d')], instruct: 'Find it: ' }]);
    expect(prompt!.text).toBe('Find it: qd');
  }
});
