"""Makes the images that no Rust encoder at hand writes. Needs Pillow and numpy."""
import struct, io
import numpy as np
from PIL import Image
rng=np.random.default_rng(7)

def lab(r,g,b):
    c=np.array([r,g,b])/255; c=np.where(c<=.04045,c/12.92,((c+.055)/1.055)**2.4)
    M=np.array([[.4360747,.3850649,.1430804],[.2225045,.7168786,.0606169],[.0139322,.0971045,.7141733]]) # D50
    x,y,z=M@c; x/=.9642; z/=.8249
    f=lambda t: t**(1/3) if t>(6/29)**3 else t*(29/6)**2/3+4/29
    return 116*f(y)-16,500*(f(x)-f(y)),200*(f(y)-f(z))
def cmyk_profile():
    # Nodes of a 2x2x2x2 table. Paper white; full cyan is (60,130,200); other inks as subtractive mixes.
    inks={0:(60,130,200),1:(200,70,120),2:(240,220,90)}
    def node(c,m,y,k):
        col=np.array([255.,255.,255.])
        for on,i in ((c,0),(m,1),(y,2)):
            if on: col=col*np.array(inks[i])/255
        if k: col=col*.15
        return col
    clut=b''
    for c in (0,1):
        for m in (0,1):
            for y in (0,1):
                for k in (0,1):
                    L,a,b=lab(*node(c,m,y,k))
                    clut+=bytes([round(np.clip(L*2.55,0,255)),round(np.clip(a+128,0,255)),round(np.clip(b+128,0,255))])
    ident=bytes(range(256))
    mft=b'mft1'+b'\0'*4+bytes([4,3,2,0])+struct.pack('>9i',*[65536 if i%4==0 else 0 for i in range(9)])+ident*4+clut+ident*3
    def text(s): return b'text'+b'\0'*4+s+b'\0'
    def desc(s): return b'desc'+b'\0'*4+struct.pack('>I',len(s)+1)+s+b'\0'+b'\0'*(4+4+2+1+67)
    wtpt=b'XYZ '+b'\0'*4+struct.pack('>3i',*[round(v*65536) for v in (.9642,1.,.8249)])
    tags=[(b'desc',desc(b'Test inks')),(b'cprt',text(b'CC0')),(b'wtpt',wtpt),(b'A2B0',mft)]
    off=128+4+12*len(tags); table=struct.pack('>I',len(tags)); body=b''
    for n,d in tags:
        d+=b'\0'*(-len(d)%4); table+=n+struct.pack('>II',off+len(body),len(d)); body+=d
    size=off+len(body)
    h=struct.pack('>I4sI4s4s4s',size,b'\0\0\0\0',0x02400000,b'prtr',b'CMYK',b'Lab ')+struct.pack('>6H',2026,1,1,0,0,0)+b'acsp'+b'\0'*4+struct.pack('>I',0)+b'\0'*4+b'\0'*4+b'\0'*8+struct.pack('>I',0)+struct.pack('>3i',*[round(v*65536) for v in (.9642,1.,.8249)])+b'\0'*4
    h=h+b'\0'*(128-len(h))
    return h+table+body
def blocks(colours, mode):
    # 2x2 blocks of 16 pixels: flat, so that compression leaves them almost exact.
    im=Image.new(mode,(32,32))
    for i,c in enumerate(colours): im.paste(c,(16*(i%2),16*(i//2),16*(i%2)+16,16*(i//2)+16))
    return im
inks=blocks([(255,0,0,0),(0,255,0,0),(0,0,0,255),(64,32,16,8)],'CMYK')
inks.save('cmyk_adobe.jpg',quality=98)
inks.save('cmyk_profile.jpg',quality=98,icc_profile=cmyk_profile())
inks.save('cmyk.tif',compression='tiff_lzw')
# YCCK: planes that hold Y, Cb, Cr of the inverted inks, and K; then the transform flag is set.
rgb=blocks([(0,255,255),(255,0,255),(255,255,255),(191,223,239)],'RGB')  # 255-ink
y,cb,cr=rgb.convert('YCbCr').split(); k=Image.eval(inks.split()[3],lambda v:255-v)
# YCbCr of R=255-C_stored, where C_stored=255-ink -> R=ink
inkrgb=Image.merge('RGB',inks.split()[:3]); y,cb,cr=inkrgb.convert('YCbCr').split()
planes=Image.merge('CMYK',[Image.eval(p,lambda v:255-v) for p in (y,cb,cr)]+[Image.eval(k,lambda v:255-v)])
b=io.BytesIO(); planes.save(b,'JPEG',quality=98); d=bytearray(b.getvalue())
i=d.index(b'Adobe'); assert d[i+11]==0; d[i+11]=2
open('ycck_adobe.jpg','wb').write(d)
grad=np.zeros((24,32,3),np.uint8); grad[...,0]=np.arange(32)*8; grad[...,1]=np.arange(24)[:,None]*10; grad[...,2]=128
g=Image.fromarray(grad)
g.save('progressive.jpg',progressive=True,quality=95)
g.save('lossy.webp',quality=95)
ga=g.convert('RGBA'); a=np.zeros((24,32),np.uint8); a[4:20,4:28]=255; ga.putalpha(Image.fromarray(a)); ga.save('lossy_alpha.webp',quality=95)
f2=Image.new('RGBA',(32,24),(0,0,255,255)); Image.new('RGBA',(32,24),(255,0,0,255)).save('animated.webp',save_all=True,append_images=[f2],duration=100,lossless=True)
pal=g.quantize(16,dither=0); pal.save('palette.tif',compression='packbits'); print(pal.convert('RGB').getpixel((0,0)),pal.convert('RGB').getpixel((31,23)))
bw=Image.fromarray(((np.indices((24,33)).sum(0)//5)%2*255).astype(np.uint8)).convert('1'); bw.save('bilevel.tif',compression='group4')
fl=Image.fromarray((np.arange(24*32).reshape(24,32)/(24*32-1)).astype(np.float32)); fl.save('float.tif')
two=[Image.new('L',(20,20),v) for v in (40,200)]; two[0].save('pages.tif',save_all=True,append_images=two[1:])
g.convert('L').save('grey.jpg',quality=95)
Image.fromarray(grad[..., 0]).save('jpeg.tif', compression='jpeg', quality=90)


def adam7(name, pixels):
    import zlib
    h, w, _ = pixels.shape
    raw = b''
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        for row in pixels[y0::dy, x0::dx]:
            raw += b'\0' + row.tobytes()
    chunk = lambda n, d: struct.pack('>I', len(d)) + n + d + struct.pack('>I', zlib.crc32(n + d))
    open(name, 'wb').write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, 8, 2, 0, 0, 1)) + chunk(b'IDAT', zlib.compress(raw, 9)) + chunk(b'IEND', b''))


adam7('interlaced.png', grad)


def tiff(name, tags, data):
    """A little-endian TIFF of one page: tags as (number, type, values), pixels at the end."""
    sizes = {3: 'H', 4: 'I'}
    count, extra = len(tags), b''
    after = 8 + 2 + 12 * count + 4
    out = struct.pack('<2sHIH', b'II', 42, 8, count)
    lists = {n: struct.pack('<%d%s' % (len(v), sizes[t]), *v) for n, t, v in tags}
    pixels_at = after + sum(len(b) for b in lists.values() if len(b) > 4)
    for n, t, v in sorted(tags):
        if n in (273, 324):
            v = [pixels_at + x for x in v]
        b = struct.pack('<%d%s' % (len(v), sizes[t]), *v)
        out += struct.pack('<HHI', n, t, len(v))
        if len(b) > 4:
            out += struct.pack('<I', after + len(extra))
            extra += b
        else:
            out += b.ljust(4, b'\0')
    open(name, 'wb').write(out + b'\0' * 4 + extra + data)


def base(w, h, photometric, bits):
    return [(256, 3, [w]), (257, 3, [h]), (258, 3, bits), (259, 3, [1]), (262, 3, [photometric]), (277, 3, [len(bits)])]


planes = [grad[..., c].tobytes() for c in range(3)]
size = 24 * 32
tiff('planar.tif', base(32, 24, 2, [8] * 3) + [(273, 4, [0, size, 2 * size]), (278, 3, [24]), (279, 4, [size] * 3), (284, 3, [2])], b''.join(planes))
tiles = []
for ty in range(2):
    for tx in range(2):
        t = np.zeros((16, 16, 3), np.uint8)
        part = grad[16 * ty:16 * ty + 16, 16 * tx:16 * tx + 16]
        t[:part.shape[0]] = part
        tiles.append(t.tobytes())
tiff('tiled.tif', base(32, 24, 2, [8] * 3) + [(322, 3, [16]), (323, 3, [16]), (324, 4, [768 * i for i in range(4)]), (325, 4, [768] * 4)], b''.join(tiles))
a = np.zeros((16, 16, 4), np.uint8)
a[:12] = (128, 50, 0, 128)
tiff('associated.tif', base(16, 16, 2, [8] * 4) + [(273, 4, [0]), (278, 3, [16]), (279, 4, [1024]), (338, 3, [1])], a.tobytes())
