"""First names common in France, folded: they tell "DUPONT Jeanne" from "Jeanne DUPONT".

No name is refused for being absent.
"""

from __future__ import annotations

_NAMES = """
aaron abbas abdallah abdel abdelaziz abdelhak abdelhamid abdelkader abdelkarim abdellah abdou abdoulaye abel
abigail abraham achille ada adam adama adan adelaide adele adelia adeline adem adil adja adrian adriana adrien
adrienne agathe aglae agnes agnieszka ahmed ahmet aicha aida aime aimee aimie aissa aissata aissatou akim
akram alain alan alana alassane alban albane albert alberto alcide aleksandra alessandro alessia alex
alexandra alexandre alexandrine alexia alexis alfonso alfred ali alia alice alicia alienor alima alina aline
alison alissa alix aliya alizee allan alma aloys alpha alphonse alya alyssa amadou amaia amandine amar amaury
ambre ambroise amel amelia amelie amicie amina aminata amine amir amira ana anael anaelle anais anastasia
anatole andre andrea andreas andree andrei ange angel angela angele angelina angeline angelique anh anis
anissa anita anjali anna annabelle anne annette annick annie anouar anouck anouk anselme anthony antoine
antoinette antonia antonin antonio apolline ariane arielle aristide arjun arlette armand armande armelle
arnaud arsene arthur assa assia astou astrid athenais aubin aude audrey auguste augustin augustine aurele
aurelia aurelie aurelien aurore austin autumn awa axel axelle aya ayden ayman aymeric ayse aziz aziza babacar
bakary baptiste barbara bastien baudouin beatrice beatrix beatriz benedicte benjamin benoit berangere berenice
bernadette bernard bertille bertrand bilal bilel binta bintou blaise blanche blandine bogdan bohdan boris
boubacar boubou bouchra brahim brandon brian brice brieuc brigitte bruno bryan camelia camil camille candice
capucine carine carl carla carlos carmen carole caroline cassandra cassandre catalina catherine cecile cecilia
cedric celeste celestin celestine celia celina celine cesar chaima chantal charlene charles charlie charline
charlotte cheikh cherif chiara chloe chris christel christelle christian christiane christina christine
christophe christopher ciara cindy claire clara clarence clarisse claude claudette claudia claudie claudine
clea clelia clemence clement clementine cleo cloe clotaire clothilde clotilde clovis colette colin coline come
constance constant constantin cora coralie corentin corine corinne cosme coumba cyndi cynthia cyprien cyriaque
cyril cyrille cyrine dalia dalila damia damien dana daniel daniela daniele danielle danny daouda daphne david
deborah delphine demba denis denise deniz denys desire desiree diana diane didier diego dieudonne dimitri dina
djamel djamila djeneba djibril dmitri dmytro dominique dorian dorine doris dorothee dounia driss duc dylan
eddy eden edgar edith edmond edmonde edouard edwige eglantine eleanor elena eleonore elia eliane elias elie
eliette elif elina eline elio eliot eliott elisa elisabeth elise elissa elizabeth ella ellen elliot elodie
eloi eloise elora elsa elvire elvis elyo emeline emeric emerick emil emile emilie emilien emilienne emily
emine emma emmanuel emmanuelle emmy emre enora enrique enzo eric erica erick erika erwan erwann esma esteban
estelle esther ethan etienne eudes eugene eugenie eva evan evann eve evelyne ewa ezechiel ezio fabian fabien
fabienne fabio fabrice fadila faiza fanny fanta farah fares farid farida farouk fatiha fatim fatima fatimata
fatma fatou fatoumata fausto federico felicie felicien felicite felix ferdinand fernand fernande fernando
ferroudja filipe fiona firdaws firmin flavie flavien flore florence florent florentin florentine florian
floriane florie florin florine fode francesca francesco francine francis francisco franck francois francoise
frank franklin franz fred frederic frederick frederique gabin gabriel gabriela gabriele gabrielle gael gaelle
gaetan gaetane garance gaspard gaston gauthier gautier gauvain genevieve geoffrey geoffroy george georges
georgette georgina gerald geraldine gerard germain germaine gervais ghislain ghislaine gilbert gilberte gildas
gilles gina ginette giorgia giovanni gisele gladys gloria goncalo gontran gonzague grace grazia gregoire
gregory greta guenole guilhem guillaume guillemette gulsen gustave guy gwenael gwenaelle gwendal gwendoline
gwenola hachem hadrien hafid hafida hafsa hakim halima hamed hamid hamza hana hanae hanane hanna hannah hans
hao harold haroun harouna harry hasan hassan hassane hatice hawa hector heidi heike helena helene helia
heloise henri henriette henry hermine herve hiba hicham hilaire hind hippolyte hoang hocine honore honorine
hortense houda hubert hugo hugues huong husein hussein hyacinthe ian ibrahim ibrahima ibtihal ibtissem idir
idriss ikram ilan ilana ilham ilhan ilias ilona ilyas ilyes iman imane imed imran inaya ines ingmar ingrid
ioana ionut irena irene irina iris iryna isaac isaak isabel isabella isabelle isaure isidore ismael ismail
issa issam ivan ivana jack jackie jacky jacqueline jacques jad jade jalal jalil jamal james jamila jan jana
jane janine jasmine jason javier jawad jayden jean jeanine jeanne jeannette jeannine jelena jennifer jenny
jeremie jeremy jerome jessica jessy jihane jimmy jing joachim joan joana joanna joanne joao joaquim jocelyn
jocelyne joel joelle joey joffrey johan johann johanna johanne john johnny jonas jonathan jordan jordane jordi
jorge jose josef joseph josephine josette joshua josiane josselin josue joy joyce juan jude judith jules julia
julian juliane julie julien julienne juliette junior jurgen juste justin justine kader kadi kadiatou kadidia
kadija kais kamal kamel karen karim karima karin karine karl kassandra katarina katarzyna kate katell
katharina katia katy kavya kelly kelyan kenny kenza kenzo ketty kevin khadidja khadija khady khaled khalid
khalil kilian killian kim kimberly kirsten konrad krzysztof kyllian laetitia lahcen laila lamia lamine lana
lara larbi larissa lars lassana latifa laura laure laureen laureline lauren laurence laurene laurent laurette
laurianne laurie laurine lauryn layla lazare lea leandre leandro leane leatitia leila lena lenny lenzo leo
leon leonard leonardo leonie leonor leopold leopoldine leslie leticia levi li-na lia liam liana lila lili
lilia lilian liliane lilou lily lin lina linda line ling linh lino lionel lisa lisandro lise lisette lison
livia liz loan loane loann lohan loic lola loris lou louane louay loubna louis louisa louise louisette louka
louna loup luc luca lucas luce lucette lucia lucie lucien lucienne lucile lucille lucrece ludivine ludovic
luigi luis luisa luka lukas luna lyam lydia lydie lyna lynda madeleine madeline madison mael maelie maelle
maelys maeva magali magalie magatte magdalena maggy mahamadou mahaut mahdi mahe mai maia maimouna maissa
maiwenn maja majid malaurie malek malgorzata malia malick malik malika mallaury malo malou malvina mamadou
mame mamoudou manon manuel manuela manuella mara marc marceau marcel marcelin marceline marcelle marcelo marco
marcus margarida margaux margo margot marguerite maria mariam mariama mariana marianne marie mariella marielle
mariem marija marina marine mario marion marisa marise marius marjolaine marjorie marlene marlon marta martha
marthe martial martin martina martine marvin mary maryam maryame maryline maryse maryvonne mateo mathias
mathieu mathilde mathis mathurin matteo matthew matthias matthieu matthis maud maude maureen maurice
mauricette mauro max maxence maxime maximilien maya mayeul maylee maylis mayssa mehdi mehmet melanie melina
melinda melissa melodie melvin melyna meriem meryem messaoud mia michael michel michele micheline michelle
mickael miguel mihaela mihai mikael mikail mila milan milann milena milla milo mina ming minh mira mireille
mirella miriam mohamed mohammed mohand moira moise momar mona monia monica monique morad morgan morgane
mouhamed mouna mounia mounir mourad moussa murat muriel murielle mustafa mustapha mylene myriam nabil nabila
nada nadege nadia nadine nadir nael naelle nahel nahla naim naima naomi naomie narcisse nassim nassima natacha
natalia nataliia natasha nathalie nathan nathanael nawal nawel ndeye neil nejma nelly nelson nesrine nestor
nicholas nicola nicolas nicole nicoletta nikolai nils nina nino ninon noa noah noam noe noel noelie noella
noelle noemie noham nolan nolwenn nora norah norbert nordine noreddine nouha nour noura noureddine nuno oceane
octave octavia octavie odette odile odon oksana oleksandr olena olga olive oliver olivia olivier olympe omar
ombeline ombline ophelie oriana oriane orlane oscar osman othmane ottavia oumaima oumar oumaya oumou ousmane
owen owenn pablo paco paola paolo pape pascal pascale pascaline patrice patricia patricio patrick paul paula
paule paulette paulin pauline paulo pawel pedro peggy penda penelope perle perrine peter petra petronille
philibert philippe philippine philomene phuong pia pierre pierrette pierrick pietro piotr placide prisca
priscilla priscille priya prosper prudence quentin quitterie rabah rabia rachel rachelle rachid rachida radia
rafael rafaela rafik raissa raj ralph raluca rama ramata ramon ramona ramzi rania raoul raphael raphaelle raul
rayan rayane raymond raymonde rebecca redouane regine regis reine remi remy renan renato renaud rene renee
reynald riad ricardo richard rita ritaj robert roberto robin roch rodolphe rodrigo rodrigue roger rohan
rokhaya rokia roland rolande romain romaine roman romane romaric romeo romuald romy ronan rosa rosalie rose
roseline roselyne rosemary rosine roxane ruben rudy rui ruth ryan saad sabah sabine sabri sabrina sacha sadio
safia said saida saidou salah salif salim salima salimata sally salma salome salomon salvatore sam samantha
samba sami samia samir samira samuel samy sana sandie sandra sandrine sandro sandy sanna santiago sara sarah
saskia saul savannah sebastian sebastien segolene sekou selena selim selin selma serena serge sergei sergio
serkan servane severine seydou shaima shana sheila shirley sidney sidonie sigrid silvia simeon simon simone
sinan sira sixtine slimane soan sofia sofian sofiane sohaib sohan sokhna solal solange solene solenn solenne
solveig sonia sophia sophie soraya soren souad soukaina soulaimane souleymane soumaya stacy stan stanislas
stella stephan stephane stephanie stephen steve steven sunita suzanne suzette suzie sven svetlana swann
sybille sydney sylvain sylvaine sylvestre sylvette sylvia sylviane sylvie tamara tanguy tania tara tarek tarik
tariq tassadit tatiana teddy teo tesnim tess tessa tetiana thais thanh thea thelma theo theodore theophile
theotime therese thi thiago thibaud thibault thibaut thierry thomas tiago tiana tidiane tifany tiffany tim
timeo timothe timothee timothy tina tiphaine titouan tobias tom tomas tomasz tony toussaint tristan tuan
tugdual typhaine ugo ulrike ulysse urbain ursula usman valentin valentina valentine valeria valerian valerie
valery vanessa vera veronica veronique vianney vicente victoire victor victoria victorien victorine vincent
violaine violette virgil virgile virginie vitalii vivian viviane vivien vladimir vladislav wael wafa walid
walter wanda warren wassila wassim wei wen wendy wiam wilfrid wilfried william willy wissem wolfgang xavier
xiao yacine yacouba yael yaelle yamina yan yanis yann yannick yannis yara yasmina yasmine yassin yassine yaya
ylan yoan yoann yohan yohann yolaine yolande yoni younes younous youri yousra youssef youssouf ysaline yseult
yu yulia yuna yuri yusuf yvan yvann yves yvette yvon yvonne zacharie zachary zahra zaid zakaria zakary zara
zeina zelie zeynep zineb zita zlata zoe zoey zohra zora zouhair
"""
GIVEN_NAMES = frozenset(_NAMES.split())
