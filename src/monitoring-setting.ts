import { z } from 'zod';
import { anyText, onOrOff, wholeNumber, type Setting } from './setting.ts';

/** The settings of what an operator watches. */
export const monitoringSettings = {
  metricsPort: {
    name: 'METRICS_PORT',
    default: null,
    wants: wholeNumber(0, 65_535),
    meaning: 'The port of `/metrics`, for Prometheus; 0 picks a free one. Without it, there are no metrics.',
  },
  metricsHost: {
    name: 'METRICS_HOST',
    default: '127.0.0.1',
    wants: anyText,
    meaning: 'The address that METRICS_PORT listens on. Everyone who can reach it can read the metrics.',
  },
  accessLog: {
    name: 'ACCESS_LOG',
    default: 'off',
    wants: onOrOff,
    meaning: 'Whether each request is logged when it has been answered.',
  },
  logAddresses: {
    name: 'LOG_ADDRESSES',
    default: 'masked',
    wants: z.enum(['masked', 'full']).describe('masked or full'),
    meaning: 'Whether network addresses are logged in full, or without their last part: as IPv4 /24 and IPv6 /48.',
  },
} satisfies Record<string, Setting>;
