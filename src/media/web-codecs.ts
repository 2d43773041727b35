/** What wgrank uses of WebCodecs; source: https://www.w3.org/TR/webcodecs */
export interface WebCodecs {
  readonly VideoDecoder: {
    new (init: { output: (frame: VideoFrame) => void; error: (error: unknown) => void }): VideoDecoder;
    isConfigSupported(config: DecoderConfig): Promise<{ supported?: boolean }>;
  };
  readonly EncodedVideoChunk: new (init: { type: 'key' | 'delta'; timestamp: number; data: Uint8Array }) => object;
}

export interface DecoderConfig {
  readonly codec: string;
  readonly description?: ArrayBufferLike | ArrayBufferView;
}

export interface VideoDecoder {
  readonly state: 'unconfigured' | 'configured' | 'closed';
  readonly decodeQueueSize: number;
  configure(config: DecoderConfig): void;
  decode(chunk: object): void;
  flush(): Promise<void>;
  close(): void;
}

export interface VideoFrame {
  /** Null where the decoder keeps its form to itself. */
  readonly format: string | null;
  readonly visibleRect: { readonly width: number; readonly height: number } | null;
  readonly colorSpace: { readonly matrix: string | null; readonly fullRange: boolean | null };
  allocationSize(options?: { format: 'RGBA' }): number;
  copyTo(into: Uint8Array, options?: { format: 'RGBA' }): Promise<readonly PlaneLayout[]>;
  close(): void;
}

/** Bytes. */
export interface PlaneLayout {
  readonly offset: number;
  readonly stride: number;
}
