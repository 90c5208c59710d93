// An OpenID provider of a hospital: oidc-provider, certified by the OpenID Foundation, with two
// clients and whoever signs in. Accounts are what is typed; the employee number is the login.
//
//   node identity-provider.mjs PORT REDIRECT_URI
//
// Writes one line of JSON with its issuer when it is ready, and ends with its standard input.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import * as oidc from 'oidc-provider';

const [port, redirect] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;

function key(kty, options, alg) {
  const { privateKey } = generateKeyPairSync(kty, options);
  return {
    ...privateKey.export({ format: 'jwk' }),
    alg,
    use: 'sig',
    kid: randomBytes(8).toString('hex'),
  };
}

const provider = new oidc.Provider(issuer, {
  clients: [
    {
      client_id: 'health-ledger',
      client_secret: 'a secret of+the node%',
      redirect_uris: [redirect],
      id_token_signed_response_alg: 'ES256',
    },
    {
      client_id: 'portal',
      token_endpoint_auth_method: 'none',
      redirect_uris: [redirect],
      id_token_signed_response_alg: 'RS256',
    },
  ],
  jwks: {
    keys: [
      key('ec', { namedCurve: 'P-256' }, 'ES256'),
      key('rsa', { modulusLength: 2048 }, 'RS256'),
    ],
  },
  claims: { openid: ['sub', 'employee_number'] },
  conformIdTokenClaims: false,
  cookies: { keys: [randomBytes(16).toString('hex')] },
  pkce: { required: () => true },
  ttl: { IdToken: 300, AccessToken: 300, Session: 600, Grant: 600, Interaction: 600 },
  async findAccount(_context, id) {
    return { accountId: id, claims: async () => ({ sub: id, employee_number: id }) };
  },
});

const server = provider.listen(Number(port), '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
process.stdin.resume();
process.stdin.on('end', () => {
  server.close();
  process.exit(0);
});
