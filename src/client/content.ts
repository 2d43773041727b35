/** A part of a query or document, as in the OpenAI and SGLang message format. Pictures and clips need a model that sees. */
export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } }
  | { readonly type: 'video_url'; readonly video_url: VideoUrl };

export interface VideoUrl {
  /** A clip's file, or its frames as pictures, in order. */
  readonly url: string | readonly string[];
  /** Of a list: frames that go by in a second. Default 2. Files say it themselves. */
  readonly fps?: number | null | undefined;
}

export type Content = string | readonly ContentPart[];
